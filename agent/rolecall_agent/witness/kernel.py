"""Asks the kernel, and is told of its changes: two netlink sockets that need no capability."""

import errno
import select
import socket
from collections.abc import Collection, Iterable, Iterator
from types import TracebackType
from typing import Self

from rolecall_agent.witness.changes import Changes
from rolecall_agent.witness.links import BRIDGE, Links
from rolecall_agent.witness.observation import NONE, SILENT, Observation, Way
from rolecall_agent.witness.rtnetlink import layout, requests
from rolecall_agent.witness.rtnetlink.messages import (
    Done,
    Forwarding,
    Garbled,
    Link,
    Message,
    Neighbour,
    OwnAddress,
    Problem,
    Route,
    Rule,
)
from rolecall_agent.witness.rtnetlink.parsing import parse
from rolecall_common.clock import Clock
from rolecall_proto.values import Address

# Kinds of links that lead to one network namespace each.
_POD_KINDS = frozenset({"veth", "netkit", "tun"})
_ROOM = 1 << 16  # More than the kernel puts into one message of a dump.
_MOST_HARDWARE = 8192
_QUEUE = 4 << 20  # Bytes; the kernel gives what it allows, some 200 KiB unless told more.


class Kernel:
    """The network of this process's namespace, as it is when it is looked at."""

    def __init__(self, clock: Clock) -> None:
        """Raise OSError where there is no rtnetlink."""
        self.links = Links(clock)
        self.hardware: dict[Address, bytes] = {}  # Of those seen behind a bridge.
        self._sequence = 0
        self._subscription = _socket(layout.GROUPS)
        try:
            self._requests = _socket(0)
        except OSError:
            self._subscription.close()
            raise
        self._poll = select.epoll()
        self._poll.register(self._subscription, select.EPOLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._poll.close()
        self._requests.close()
        self._subscription.close()

    def fileno(self) -> int:
        """Return what becomes readable when something has changed."""
        return self._subscription.fileno()

    @property
    def has_changes(self) -> bool:
        """Whether anything has changed. The kernel says so before anyone can use the change."""
        return bool(self._poll.poll(0))

    def read_changes(self) -> Changes:
        """Read all that has changed."""
        changes = Changes()
        for message in self._receive(changes):
            match message:
                case Link():
                    self._learn_link(message, changes)
                case Route() if message.is_for_one and message.address is not None:
                    changes.addresses.add(message.address)
                case Route():
                    changes.prefixes.add(message.version, message.address, message.length)
                case Neighbour(address, link) if self._kind(link) == BRIDGE:
                    changes.addresses.add(address)
                case Forwarding(hardware):
                    changes.hardware.add(hardware)
                case Rule():
                    _learn_rule(message, changes)
                case Garbled():
                    changes.lost = True
                case _:
                    pass
        return changes

    def reread(self) -> set[Address]:
        """Read links anew, and drop changes that came before; return where pods may be."""
        for _ in self._receive(Changes()):
            pass
        found, own = self._dump(layout.GET_LINK), self._dump(layout.GET_ADDRESS)
        self.links.reread(
            (each for each in found if isinstance(each, Link)),
            (each for each in own if isinstance(each, OwnAddress)),
        )
        self.hardware.clear()
        return self._addresses()

    def observe(self, address: Address) -> Observation:
        """Return where *address* is."""
        route = self._ask_one(requests.ask_route(address, self._next()))
        if not isinstance(route, Route) or not route.link or not route.direct:
            return NONE
        kind = self._kind(route.link)
        if kind == BRIDGE:
            return self._behind(route.link, address)
        if route.is_for_one and kind in _POD_KINDS:
            return self._observed(Way.ROUTE, route.link)
        return NONE

    def forget_all_but(self, addresses: Collection[Address]) -> None:
        """Keep the hardware addresses of *addresses* alone, once there are many."""
        if len(self.hardware) > _MOST_HARDWARE:
            self.hardware = {at: who for at, who in self.hardware.items() if at in addresses}

    def rules(self) -> list[Rule]:
        """Return the rules of routing policy."""
        return [each for each in self._dump(layout.GET_RULE) if isinstance(each, Rule)]

    def _behind(self, bridge: int, address: Address) -> Observation:
        who = self._ask_one(requests.ask_neighbour(address, bridge, self._next()))
        if not isinstance(who, Neighbour) or not who.hardware:
            return SILENT
        self.hardware[address] = who.hardware
        where = self._ask_one(requests.ask_forwarding(who.hardware, bridge, self._next()))
        if not isinstance(where, Forwarding) or where.port in (0, bridge):
            return SILENT
        return self._observed(Way.BRIDGE, where.port)

    def _addresses(self) -> set[Address]:
        """Return every address that has a route of its own, or is known behind a bridge."""
        found = set()
        for each in self._dump(layout.GET_ROUTE):
            if isinstance(each, Route) and each.is_for_one and each.direct:
                found |= {each.address} if self._kind(each.link) in _POD_KINDS else set()
        for each in self._dump(layout.GET_NEIGHBOUR):
            if isinstance(each, Neighbour) and self._kind(each.link) == BRIDGE:
                found.add(each.address)
        return {address for address in found if address is not None}

    def _kind(self, number: int) -> str:
        link = self.links.get(number)
        if link is None:
            asked = self._ask_one(requests.ask_link(number, self._next()))
            if not isinstance(asked, Link):
                return ""
            self.links.learn(link := asked)
        return link.kind

    def _observed(self, way: Way, number: int) -> Observation:
        """Return the observation of the link with *number*."""
        link = self.links.id(number) if self._kind(number) else None
        return NONE if link is None else Observation(way, link)

    def _learn_link(self, link: Link, changes: Changes) -> None:
        changed = self.links.learn(link)
        if not changed:
            return
        # Its routes may have gone without a word, as they do where a link goes or is let down.
        changes.topology = True
        changes.links |= changed
        changes.bridges = changes.bridges or link.kind == BRIDGE

    def _receive(self, changes: Changes) -> Iterator[Message]:
        while True:
            try:
                data, (port, _) = self._subscription.recvfrom(_ROOM)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                changes.lost = True  # The kernel had more to say than the socket could keep.
                continue
            if port == 0:  # Nobody but the kernel is believed.
                yield from parse(data)

    def _next(self) -> int:
        self._sequence = self._sequence % 0xFFFF_FFFF + 1
        return self._sequence

    def _ask_one(self, request: bytes) -> Message | None:
        """Ask what has one answer; None where the kernel has none."""
        found = next(iter(self._ask(request)), None)
        return None if isinstance(found, Problem) else found

    def _dump(self, kind: int) -> Iterable[Message]:
        found: list[Message] = []
        for family in (layout.AF_INET, layout.AF_INET6) if kind != layout.GET_LINK else (0,):
            found += self._ask(requests.ask_all(kind, family, self._next()))
        return found

    def _ask(self, request: bytes) -> list[Message]:
        """Ask, and return what the kernel says. It has said all by the time that we look."""
        self._requests.send(request)
        found: list[Message] = []
        while True:
            try:
                messages = list(parse(self._requests.recv(_ROOM)))
            except BlockingIOError:
                return found
            found += messages
            if any(isinstance(each, Done | Problem) for each in messages):
                return found


def _learn_rule(rule: Rule, changes: Changes) -> None:
    changes.topology = True
    if rule.is_for_others:
        return
    if rule.address is None:
        changes.routing = True
    else:
        changes.prefixes.add(rule.version, rule.address, rule.length)


def _socket(groups: int) -> socket.socket:
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no rtnetlink")
    made = socket.socket(
        socket.AF_NETLINK,
        socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
        socket.NETLINK_ROUTE,
    )
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE)
        made.bind((0, groups))
    except OSError:
        made.close()
        raise
    return made
