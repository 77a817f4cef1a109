"""The endpoints' listening sockets, bound before there is anything that could answer.

They may be bound to addresses that the machine comes to have later. The container endpoint's is
made by somebody else: by the warden, an operator, or another agent whose address we share. Who
comes first must not matter, and no capability is needed for that.
"""

import errno
import logging
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rolecall_agent.settings import Settings
from rolecall_common import endpoint_file
from rolecall_common.lifecycle import refusing
from rolecall_common.settings.types import HostPort

log = logging.getLogger(__name__)

METADATA, CONTAINER = "metadata", "container"
BACKLOG = 4096  # connections that the kernel keeps for us while no worker is there, or it is busy
# Ports that are tried, from the one that is set. Two agents share a node in an upgrade; more only
# while several upgrades follow one another faster than the last agents end.
_PORTS = 8
_IPV6_FREEBIND = 78  # Linux's; the module `socket` knows only IPv4's, and that since 3.12 at best.
IP_FREEBIND = 15

# A family, and what a socket of it is bound to.
SocketAddress = tuple[int, tuple[Any, ...]]


def bind_endpoints(settings: Settings) -> dict[str, list[socket.socket]]:
    """Listen for each endpoint, by its name. Raises StartError where an address cannot be had.

    In a takeover the container endpoint's sockets are not yet listened on, for this agent is cold,
    and not even bound where another one has the address: see `shared_port.py`.
    """
    file = settings.takeover.endpoint_file
    with refusing("listen", OSError):
        metadata = _listening(settings.endpoint.listen, file)
    with refusing("containerListen", OSError):
        where = [(each.host, each.port) for each in settings.container.container_listen]
        container = bind_all(where, leave_taken=file is not None)
        if file is None:
            _listen(container)
    return {METADATA: metadata, CONTAINER: container}


def bind_all(
    listen: Iterable[tuple[str, int]], *, leave_taken: bool = False
) -> list[socket.socket]:
    """Return a socket bound to each of *listen*, but for protocols that the machine lacks.

    With *leave_taken* the socket of an address that another one has is left without any.

    IPv6 may be switched off, and IPv4 goes on then. Raises OSError where an address cannot be had,
    and where nothing is left.
    """
    bound: list[socket.socket] = []
    lacking: OSError | None = None
    try:
        for host, port in listen:
            try:
                bound += _bind_host(host, port, leave_taken=leave_taken)
            except OSError as error:
                if error.errno != errno.EAFNOSUPPORT:
                    raise
                lacking = error
                log.warning("this machine has no such protocol", extra={"address": host})
        if lacking is not None and not bound:
            raise lacking
    except OSError:
        _close(bound)
        raise
    return bound


def _listening(listen: tuple[HostPort, ...], file: Path | None) -> list[socket.socket]:
    if file is None:
        return _listen(bind_all((each.host, each.port) for each in listen))
    refused: OSError | None = None
    for port in _candidates(listen[0].port, file):
        try:
            return _listen(bind_all((each.host, port) for each in listen))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            refused = refused or error
    assert refused is not None  # noqa: S101 - there is at least one port
    raise refused


def _candidates(first: int, file: Path) -> Iterator[int]:
    """Yield the ports to try: first the one that pods of this node are still led to."""
    before = endpoint_file.read(file)
    if before is not None:
        yield before
    yield from range(first, min(first + _PORTS, 65_536))


def addresses_of(host: str, port: int) -> list[SocketAddress]:
    """Return what *host* stands for: perhaps several addresses, each of them once."""
    flags = socket.AI_PASSIVE
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys((each[0], each[4]) for each in found))


def is_bound(each: socket.socket) -> bool:
    """Return whether *each* has an address already."""
    return bool(each.getsockname()[1])


def _bind_host(host: str, port: int, *, leave_taken: bool) -> Iterator[socket.socket]:
    for family, address in addresses_of(host, port):
        try:
            yield _bind_address(family, address, leave_taken=leave_taken)
        except OSError as error:
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            reason = f"cannot listen on {where}: {os.strerror(error.errno or 0)}"
            raise OSError(error.errno, reason) from error


def _bind_address(family: int, address: tuple[Any, ...], *, leave_taken: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        else:
            made.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        made.bind(address)
    except OSError as error:
        if not (leave_taken and error.errno == errno.EADDRINUSE):
            made.close()
            raise
    return made


def _listen(bound: list[socket.socket]) -> list[socket.socket]:
    # Two may have bound the same address, and only here one of them is told.
    try:
        for each in bound:
            each.listen(BACKLOG)
    except OSError:
        _close(bound)
        raise
    return bound


def _close(bound: Iterable[socket.socket]) -> None:
    for each in bound:
        each.close()
