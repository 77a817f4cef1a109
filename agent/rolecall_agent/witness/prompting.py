"""Has pods behind a bridge say where they are, before anybody else says it in their name.

A bridge knows a pod by what it has sent, and a pod that has just come has sent nothing. Until then
another one, with NET_RAW, can say that the address is its own. But whoever is written to has to be
found first: the node asks for the address, and the kernel of each pod that has one answers for it.
So the port of the one who lies is known to be that one's, and is no proof for another.
"""

import contextlib
import socket
from types import TracebackType
from typing import Self

from rolecall_proto.values import Address

_DISCARD = 9  # Nobody is meant to listen there; and what comes is empty.


class Prompter:
    """Sends one empty datagram to whoever is to be heard of. Needs no capability."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in self._sockets.values():
            each.close()

    def prompt(self, address: Address) -> None:
        """Have the node look for *address*; it may not come to that."""
        with contextlib.suppress(OSError):
            self._socket(address.version).sendto(b"", (str(address), _DISCARD))

    def _socket(self, version: int) -> socket.socket:
        if version not in self._sockets:
            family = socket.AF_INET if version == 4 else socket.AF_INET6  # noqa: PLR2004 - of IP
            kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            self._sockets[version] = socket.socket(family, kind)
        return self._sockets[version]
