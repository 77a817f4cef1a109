"""Bindings of one node, with a time of its own."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from rolecall_agent.witness.bindings import SETTLING, Bindings
from rolecall_agent.witness.entries import Binding
from rolecall_agent.witness.observation import NEVER, Holder, LinkId, Observation, Way
from rolecall_proto.values import Address, Confirmation, PodUid

HERE = ip_address("10.0.0.1")
THERE = ip_address("10.0.0.2")
FIRST, SECOND, THIRD = PodUid("first"), PodUid("second"), PodUid("third")
START = datetime(2026, 12, 1, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def route(number: int, born: float | None = None) -> Observation:
    return Observation(Way.ROUTE, link(number, born))


def port(number: int, born: float | None = None) -> Observation:
    return Observation(Way.BRIDGE, link(number, born))


def link(number: int, born: float | None = None) -> LinkId:
    """Return a link that is born at *born*, or at a time of which nothing is known."""
    return LinkId(7, number, born_at=NEVER if born is None else at(born))


class Node:
    """Bindings, and one time for everything that they are told."""

    def __init__(
        self,
        state: Mapping[Address, Binding] | None = None,
        *,
        accept: bool = False,
        begun: float = -100.0,
        now: float = 0.0,
    ) -> None:
        self.bindings = Bindings(state or {}, accept_unwitnessed=accept)
        self.bindings.begin(at(begun))
        self.set_links(range(1, 100))
        self.now = now

    def set_links(self, numbers: Iterable[int]) -> None:
        self.bindings.set_links(link(number) for number in numbers)

    def observe(self, observation: Observation, address: Address = HERE) -> set[Address]:
        return self.bindings.observe(address, observation, at(self.now))

    def claim(self, address: Address = HERE, **starts: float | None) -> set[Address]:
        """Have the server name pods, each by when it last started, if at all."""
        said = {PodUid(uid): _moment(start) for uid, start in starts.items()}
        return self.bindings.claim(address, said, at(self.now))

    def read(self, address: Address = HERE, **starts: float | None) -> set[Address]:
        """Ask for a live read of whatever is in doubt; *starts* could be read, at *address*."""
        read = {
            PodUid(uid): Confirmation((address,), _moment(start)) for uid, start in starts.items()
        }
        return self.bindings.answer(self.bindings.query([HERE, THERE]), read, at(self.now))

    def settle(self) -> set[Address]:
        self.now += SETTLING.total_seconds()
        return self.bindings.tick(at(self.now))

    def holder(self, address: Address = HERE) -> Holder | None:
        return self.bindings.holders.get(address)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else at(seconds)


def bound() -> Node:
    """Return a node at which the first pod, of second 0, has its link."""
    node = Node()
    node.observe(route(1, born=0.0))
    node.now = 1.0
    node.claim(first=0)
    assert node.holder() == FIRST
    return node
