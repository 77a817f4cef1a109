"""Tells that something on the node has changed that may concern the rules: an event, no polling.

The kernel says so on two netlink sockets, for which no capability is needed. What a message says in
detail does not matter: the rules are looked at as a whole.
"""

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable, Generator
from typing import NoReturn

from rolecall_warden.rules import TABLE

# From linux/netlink.h, linux/rtnetlink.h and linux/netfilter/nfnetlink.h: a bit for each group.
_NETFILTER = 12
_ROUTE_GROUPS = sum(1 << (group - 1) for group in (1, 5, 8, 9, 19))  # links, addresses, rules
_NFTABLES_GROUP = 1 << (7 - 1)
_LINKS = (16, 17)  # RTM_NEWLINK, RTM_DELLINK
_LOOPBACK = 1
_HEADER = struct.Struct("=IHHII")
_LINK_HEADER = struct.Struct("=BxHi")
_NAMED = TABLE.encode() + b"\0"
_MOST = 256 * 1024


class Changes:
    """Sets `changed` whenever the kernel tells of something that may matter. See `opened`."""

    def __init__(self, route: socket.socket, filters: socket.socket) -> None:
        self.changed = asyncio.Event()
        self._route = route
        self._filters = filters

    @classmethod
    @contextlib.contextmanager
    def opened(cls) -> Generator["Changes"]:
        """Listen from now on: what happens before `follow` is not lost. Raises OSError."""
        with (
            _listening(socket.NETLINK_ROUTE, _ROUTE_GROUPS) as route,
            _listening(_NETFILTER, _NFTABLES_GROUP) as filters,
        ):
            yield cls(route, filters)

    async def follow(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            links = self._follow(self._route, concerns_links)
            tasks.create_task(links, name="follow links and routing rules")
            packets = self._follow(self._filters, concerns_table)
            tasks.create_task(packets, name="follow packet rules")

    async def _follow(self, listener: socket.socket, concerns: Callable[[bytes], bool]) -> NoReturn:
        loop = asyncio.get_running_loop()
        while True:
            try:
                message = await loop.sock_recv(listener, _MOST)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.changed.set()  # More was said than could be kept: anything may have changed.
                continue
            if concerns(message):
                self.changed.set()


def concerns_table(message: bytes) -> bool:
    """Tell whether nf_tables speaks of our table; on many nodes it speaks of others all day."""
    return _NAMED in message


def concerns_links(message: bytes) -> bool:
    """Tell whether it is about addresses, rules, or the loopback link.

    Our rules name no other link, and on a busy node links come and go with every pod.
    """
    offset = 0
    while offset + _HEADER.size <= len(message):
        length, kind, *_ = _HEADER.unpack_from(message, offset)
        if kind not in _LINKS:
            return True
        body = offset + _HEADER.size
        if body + _LINK_HEADER.size > len(message):
            return True
        if _LINK_HEADER.unpack_from(message, body)[2] == _LOOPBACK:
            return True
        if length < _HEADER.size:
            return True
        offset += (length + 3) & ~3
    return False


@contextlib.contextmanager
def _listening(protocol: int, groups: int) -> Generator[socket.socket]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as listener:
        listener.setblocking(False)  # noqa: FBT003 - its only argument
        listener.bind((0, groups))
        yield listener
