"""The container endpoint's port: two agents of a node share it in a takeover, and nobody ever else.

Sockets of one user share a port where all of them have SO_REUSEPORT in the moment in which one more
is bound and begins to listen. Whoever runs as that user on the node's network would get every other
pod's token. So the older agent sets it only once its warden says that a newer one has the node's
rules, and the newer one takes it back as soon as it listens.

The kernel also remembers of a port whether its last socket had the option, and asks the others no
more then. A socket without it, bound to the port at any address, makes it forget.
"""

import contextlib
import errno
import socket
from collections.abc import Iterable, Sequence

from rolecall_agent.process.sockets import BACKLOG, IP_FREEBIND, SocketAddress, is_bound

_NOWHERE = "127.169.170.23"  # Where nothing listens: an address of loopback like any other.


class SharedPort:
    """The container endpoint's *sockets*, of which some may be bound to their *addresses* later."""

    def __init__(
        self, sockets: Sequence[socket.socket], addresses: Iterable[SocketAddress]
    ) -> None:
        self._addresses = dict(_paired(sockets, addresses))
        self._is_shared = False

    def listen(self) -> bool:
        """Listen at each address; return False while another agent has one, and does not share it.

        Raises OSError where an address cannot be had for another reason.
        """
        try:
            for each, address in self._addresses.items():
                _listen(each, address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        return True

    def share(self, *, wanted: bool) -> None:
        """Let a newer agent of our user listen beside us, or nobody any more."""
        if wanted is not self._is_shared:
            for each in self._addresses:
                _set_shared(each, shared=wanted)
            self._is_shared = wanted


def _paired(
    sockets: Sequence[socket.socket], addresses: Iterable[SocketAddress]
) -> list[tuple[socket.socket, SocketAddress]]:
    """Return the address of each socket: its own, or one that is left of its family."""
    bound: list[tuple[socket.socket, SocketAddress]] = [
        (each, (each.family, each.getsockname())) for each in sockets if is_bound(each)
    ]
    taken = {(family, address[:2]) for _, (family, address) in bound}
    left = [each for each in addresses if (each[0], each[1][:2]) not in taken]
    for each in sockets:
        address = next((address for address in left if address[0] == each.family), None)
        if address is not None and not is_bound(each):
            left.remove(address)
            bound.append((each, address))
    return bound


def _listen(each: socket.socket, address: SocketAddress) -> None:
    try:
        _bind_and_listen(each, address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            _bind_and_listen(each, address)
        finally:
            _set_shared(each, shared=False)


def _bind_and_listen(each: socket.socket, address: SocketAddress) -> None:
    if not is_bound(each):
        each.bind(address[1])
    each.listen(BACKLOG)


def _set_shared(each: socket.socket, *, shared: bool) -> None:
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
    if not shared and is_bound(each):
        # Somebody else's socket may be there, which has the port forget as well.
        with contextlib.suppress(OSError), socket.socket() as forgetting:
            forgetting.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
            forgetting.bind((_NOWHERE, each.getsockname()[1]))
