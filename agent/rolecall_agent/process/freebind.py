"""Listening sockets at addresses that the machine may come to have later.

The container endpoint's address is made by somebody else: by the warden, an operator, or another
agent whose address we share. Who comes first must not matter, and no capability is needed for that.
"""

import errno
import logging
import os
import socket
from collections.abc import Iterable, Iterator

log = logging.getLogger(__name__)

_IPV6_FREEBIND = 78  # Linux's; the module `socket` knows only IPv4's, and that since 3.12 at best.
_IP_FREEBIND = 15


def listeners(listen: Iterable[tuple[str, int]], *, shared: bool = False) -> list[socket.socket]:
    """Return a socket bound to each of *listen*, but for protocols that the machine lacks.

    Others of this user may have the same address where all of them want it *shared*.

    IPv6 may be switched off, and IPv4 goes on then. Raises OSError where an address cannot be had,
    and where nothing is left.
    """
    bound: list[socket.socket] = []
    lacking: OSError | None = None
    try:
        for host, port in listen:
            try:
                bound += _all(host, port, shared=shared)
            except OSError as error:
                if error.errno != errno.EAFNOSUPPORT:
                    raise
                lacking = error
                log.warning("this machine has no such protocol", extra={"address": host})
        if lacking is not None and not bound:
            raise lacking
    except OSError:
        for each in bound:
            each.close()
        raise
    return bound


def _all(host: str, port: int, *, shared: bool) -> Iterator[socket.socket]:
    flags = socket.AI_PASSIVE
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    # A name may stand for several addresses, and have one of them twice.
    for family, address in dict.fromkeys((each[0], each[4]) for each in found):
        try:
            yield _bound(family, address, shared=shared)
        except OSError as error:
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            reason = f"cannot listen on {where}: {os.strerror(error.errno or 0)}"
            raise OSError(error.errno, reason) from error


def _bound(family: int, address: tuple[object, ...], *, shared: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        else:
            made.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
