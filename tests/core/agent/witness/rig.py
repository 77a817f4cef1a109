"""Bindings of one node, with a time of its own."""

from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_address

from rolecall_agent.witness.bindings import SETTLING, Bindings
from rolecall_agent.witness.entries import Binding
from rolecall_agent.witness.observation import Holder, LinkId, Observation, Way
from rolecall_proto.values import Address, PodUid

HERE = ip_address("10.0.0.1")
THERE = ip_address("10.0.0.2")
FIRST, SECOND, THIRD = PodUid("first"), PodUid("second"), PodUid("third")
SETTLED = SETTLING + 1


def link(number: int, turn: int = 0) -> LinkId:
    return LinkId(number, 1000 * turn + number, turn)


def route(number: int, turn: int = 0) -> Observation:
    return Observation(Way.ROUTE, link(number, turn))


def port(number: int) -> Observation:
    return Observation(Way.BRIDGE, link(number))


class Node:
    """Bindings, and one time for everything that they are told."""

    def __init__(
        self,
        state: Mapping[Address, Binding] | None = None,
        *,
        accept: bool = False,
        now: float = SETTLED,
    ) -> None:
        self.bindings = Bindings(state or {}, accept_unwitnessed=accept)
        self.bindings.begin(0.0)
        self.set_links(range(1, 100))
        self.bindings.note_synced()
        self.now = now

    def set_links(self, numbers: Iterable[int]) -> None:
        self.bindings.set_links(map(link, numbers))

    def observe(self, observation: Observation, address: Address = HERE) -> set[Address]:
        return self.bindings.observe(address, observation, self.now)

    def claim(self, *uids: PodUid, address: Address = HERE) -> set[Address]:
        return self.bindings.claim(address, uids, self.now)

    def read(self, answers: Mapping[PodUid, Collection[Address]]) -> set[Address]:
        """Ask for a live read of whatever is in doubt, and answer it so."""
        return self.bindings.answer(self.bindings.query([HERE, THERE]), answers)

    def holder(self, address: Address = HERE) -> Holder | None:
        return self.bindings.holders.get(address)


def bound(uid: PodUid = FIRST, number: int = 1) -> Node:
    node = Node()
    node.observe(route(number))
    node.claim(uid)
    assert node.holder() == uid
    return node
