"""A kernel's network that is played: it answers questions, and tells of changes.

Its sockets are the agent's as far as those use them, and can fail at any of their calls.
"""

import errno
import itertools
import os
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from rolecall_agent.witness.rtnetlink import layout
from rolecall_proto.values import Address

_MULTI, _DUMP = 0x2, 0x300


def message(kind: int, body: bytes, sequence: int = 0, port: int = 0, flags: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, port) + body


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def number(value: int) -> bytes:
    return struct.pack("=I", value)


def link(index: int, kind: bytes = b"veth", master: int = 0) -> bytes:
    info = attribute(18, attribute(1, kind + b"\0"))
    name = attribute(3, b"played%d\0" % index)
    leads = attribute(10, number(master)) if master else b""
    return struct.pack("=BxHiII", 0, 0, index, 1, 0) + name + leads + info


def route(address: Address, index: int) -> bytes:
    head = bytes([2, 32, 0, 0, 254, 3, 253, 1]) + number(0)
    return head + attribute(1, address.packed) + attribute(4, number(index))


def error(code: int) -> bytes:
    return struct.pack("=i", -code) + bytes(16)


@dataclass
class PlayedSocket:
    """One socket: what it is asked is answered at once, into its queue."""

    kernel: "PlayedKernel"
    groups: int
    port: int
    queue: deque[bytes] = field(default_factory=deque)
    _readable: int = field(default_factory=lambda: os.eventfd(0, os.EFD_NONBLOCK))

    def fileno(self) -> int:
        return self._readable

    def getsockname(self) -> tuple[int, int]:
        return self.port, self.groups

    def put(self, data: bytes) -> None:
        self.queue.append(data)
        os.eventfd_write(self._readable, 1)

    def send(self, data: bytes) -> int:
        self.kernel.called()
        for answer in self.kernel.answers(data, self.port):
            self.put(answer)
        return len(data)

    def recvfrom(self, room: int) -> tuple[bytes, tuple[int, int]]:  # noqa: ARG002 - a socket's own
        self.kernel.called(self._lose if self.groups else None)
        if not self.queue:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        data = self.queue.popleft()
        if not self.queue:
            os.eventfd_read(self._readable)
        return data, (0, 0)

    def close(self) -> None:
        self.kernel.sockets.remove(self)
        os.close(self._readable)

    def _lose(self) -> None:
        if self.queue:
            self.queue.clear()
            os.eventfd_read(self._readable)


class PlayedKernel:
    """Links by number, and one route to each address."""

    def __init__(self) -> None:
        self.links: dict[int, bytes] = {}
        self.routes: dict[Address, int] = {}
        self.sockets: list[PlayedSocket] = []
        self.calls = 0
        self.fails_at: Callable[[int], bool] = lambda _: False
        self.error = errno.ENOBUFS
        self._ports = itertools.count(1001)

    def open(self, groups: int, program: bytes) -> PlayedSocket:  # noqa: ARG002 - nothing is filtered
        self.called()
        made = PlayedSocket(self, groups, next(self._ports))
        self.sockets.append(made)
        return made

    def called(self, lose: Callable[[], None] | None = None) -> None:
        """Count one more call, which may fail; news are lost where the one to read them does."""
        self.calls += 1
        if self.fails_at(self.calls):
            if lose is not None:
                lose()
            raise OSError(self.error, os.strerror(self.error))

    def add(self, index: int, address: Address) -> None:
        """Have a pod's link come, and a route to it."""
        self.links[index], self.routes[address] = link(index), index
        self._tell(message(layout.NEW_LINK, link(index)))
        self._tell(message(layout.NEW_ROUTE, route(address, index)))

    def add_link(self, index: int, *, kind: bytes = b"veth", master: int = 0) -> None:
        self.links[index] = link(index, kind, master)
        self._tell(message(layout.NEW_LINK, self.links[index]))

    def remove(self, index: int) -> None:
        """Have a link go, and its routes with it, of which nothing is said."""
        del self.links[index]
        self.routes = {at: each for at, each in self.routes.items() if each != index}
        self._tell(message(layout.DEL_LINK, link(index)))

    def answers(self, asked: bytes, port: int) -> list[bytes]:
        _, kind, flags, sequence, _ = layout.HEADER.unpack_from(asked)
        body = asked[layout.HEADER.size :]
        if flags & _DUMP == _DUMP:
            parts = [
                message(kind - 2, each, sequence, port, _MULTI) for each in self._all(kind, body)
            ]
            return [*parts, message(layout.DONE, bytes(4), sequence, port, _MULTI)]
        found = self._one(kind, body)
        if found is None:
            return [message(layout.ERROR, error(errno.ENETUNREACH), sequence, port)]
        return [message(kind - 2, found, sequence, port)]

    def _all(self, kind: int, body: bytes) -> list[bytes]:
        if kind == layout.GET_LINK:
            return list(self.links.values())
        if kind == layout.GET_ROUTE and body[0] == layout.AF_INET:
            return [route(*each) for each in self.routes.items()]
        return []

    def _one(self, kind: int, body: bytes) -> bytes | None:
        if kind == layout.GET_LINK:
            return self.links.get(layout.LINK.unpack_from(body)[2])
        packed = body[layout.ROUTE.size + 4 :][:4]
        return next(
            (route(*each) for each in self.routes.items() if each[0].packed == packed), None
        )

    def _tell(self, data: bytes) -> None:
        for each in self.sockets:
            if each.groups & layout.ROUTING:
                each.put(data)
