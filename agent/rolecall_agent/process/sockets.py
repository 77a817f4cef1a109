"""The endpoints' listening sockets, bound before there is anything that could answer."""

import errno
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from rolecall_agent.process.freebind import listeners
from rolecall_agent.settings import Settings
from rolecall_common import endpoint_file
from rolecall_common.lifecycle import refusing
from rolecall_common.settings.types import HostPort

METADATA, CONTAINER = "metadata", "container"
BACKLOG = 4096  # connections that the kernel keeps for us while no worker is there, or it is busy
# Ports that are tried, from the one that is set. Two agents share a node in an upgrade; more only
# while several upgrades follow one another faster than the last agents end.
_PORTS = 8


def bind(settings: Settings) -> dict[str, list[socket.socket]]:
    """Listen for each endpoint, by its name. Raises StartError where an address cannot be had.

    In a hand-over the container endpoint's sockets are bound and not yet listened on: another agent
    may answer at its address, and this one is cold.
    """
    told = settings.hand_over.endpoint_file
    with refusing("listen", OSError):
        metadata = _listening(settings.endpoint.listen, told)
    with refusing("containerListen", OSError):
        where = [(each.host, each.port) for each in settings.container.container_listen]
        container = listeners(where, shared=told is not None)
        if told is None:
            _listen(container)
    return {METADATA: metadata, CONTAINER: container}


def _listening(listen: tuple[HostPort, ...], told: Path | None) -> list[socket.socket]:
    if told is None:
        return _listen(listeners((each.host, each.port) for each in listen))
    refused: OSError | None = None
    for port in _candidates(listen[0].port, told):
        try:
            return _listen(listeners((each.host, port) for each in listen))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            refused = refused or error
    assert refused is not None  # noqa: S101 - there is at least one port
    raise refused


def _candidates(first: int, told: Path) -> Iterator[int]:
    """Yield the ports to try: first the one that pods of this node are still led to."""
    before = endpoint_file.told(told)
    if before is not None:
        yield before
    yield from range(first, min(first + _PORTS, 65_536))


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
