"""Tells that something on the node has changed that may concern the rules: an event, no polling.

The kernel says so on two netlink sockets, for which no capability is needed. What a message says in
detail does not matter: the rules are looked at as a whole.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Generator
from typing import NoReturn

from rolecall_warden.kernel_news import Concerns, concerns_table
from rolecall_warden.settings import Settings

# From linux/netlink.h, linux/rtnetlink.h and linux/netfilter/nfnetlink.h: a bit for each group.
_NETFILTER = 12
_ROUTE_GROUPS = sum(1 << (group - 1) for group in (1, 5, 8, 9, 19))  # links, addresses, rules
_NFTABLES_GROUP = 1 << (7 - 1)
# More than one message of the kernel has; whatever fills it may have been cut off.
_MOST = 64 * 1024
# The kernel had no memory for a message, or the socket no room: nobody knows what it was.
_LOST = (errno.ENOBUFS, errno.ENOMEM)


class Changes:
    """Sets `changed` whenever the kernel tells of something that may matter. See `opened`."""

    def __init__(self, concerns: Concerns, route: socket.socket, filters: socket.socket) -> None:
        self.changed = asyncio.Event()
        self._concerns = concerns
        self._route = route
        self._filters = filters

    @classmethod
    @contextlib.contextmanager
    def opened(cls, settings: Settings) -> Generator["Changes"]:
        """Listen from now on: what happens before `follow` is not lost. Raises OSError."""
        with (
            _listening(socket.NETLINK_ROUTE, _ROUTE_GROUPS) as route,
            _listening(_NETFILTER, _NFTABLES_GROUP) as filters,
        ):
            yield cls(Concerns.of(settings), route, filters)

    async def follow(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            node = self._follow(self._route, self._concerns.node)
            tasks.create_task(node, name="follow links, addresses and routing rules")
            packets = self._follow(self._filters, concerns_table)
            tasks.create_task(packets, name="follow packet rules")

    async def _follow(self, listener: socket.socket, concerns: Callable[[bytes], bool]) -> NoReturn:
        loop = asyncio.get_running_loop()
        buffer = bytearray(_MOST)
        while True:
            try:
                size = await loop.sock_recv_into(listener, buffer)
            except OSError as error:
                if error.errno not in _LOST:
                    raise
                size = _MOST
            # What is there already is read without a pause: others would wait until a storm ends.
            await asyncio.sleep(0)
            if size == _MOST or concerns(bytes(memoryview(buffer)[:size])):
                self.changed.set()


@contextlib.contextmanager
def _listening(protocol: int, groups: int) -> Generator[socket.socket]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as listener:
        listener.setblocking(False)  # noqa: FBT003 - its only argument
        listener.bind((0, groups))
        yield listener
