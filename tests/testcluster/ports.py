"""Ports for servers that are started, stopped and started again on the same one."""

import functools
import random
import socket
from collections.abc import Iterator
from itertools import cycle

# Below those that the kernel gives to outgoing connections, one of which could take the port of a
# server that is stopped for a moment.
_RANGE = range(12_000, 32_000)
_BLOCK = 1_000  # One process's part of them: twenty can run tests at once.


class _Block:
    """Ports that this process may give, and no other that runs tests in this network."""

    def __init__(self, ports: range) -> None:
        self.ports = ports
        self._next: Iterator[int] = cycle(random.sample(ports, k=len(ports)))
        # None is given again before a quarter of them were: what was given may not be listened on
        # yet. Of more, so many would stand apart that there might not be *room* anywhere.
        self._given: set[int] = set()

    def take(self, room: int) -> int | None:
        """Return a port that nobody listens on, with *room* after it; none where there is none."""
        if len(self._given) > len(self.ports) // 4:
            self._given.clear()
        for port, _ in zip(self._next, self.ports, strict=False):
            wanted = range(port, port + 1 + room)
            fits = wanted[-1] in self.ports and self._given.isdisjoint(wanted)
            if fits and all(map(_is_free, wanted)):
                self._given.update(wanted)
                return port
        return None


def free_ports(count: int, room: int = 0) -> list[int]:
    """Return *count* ports of loopback that nobody listens on now, and nobody else was given.

    So are the *room* ports after each of them.
    """
    found = (_own_block().take(room) for _ in range(count))
    return [port for port in found if port is not None]


@functools.cache
def _own_block() -> _Block:
    """Claim a block by a name of the kernel's: seen in this network alone, as the ports are."""
    firsts = range(_RANGE.start, _RANGE.stop, _BLOCK)
    for first in random.sample(firsts, k=len(firsts)):
        with socket.socket(socket.AF_UNIX) as claim:
            try:
                claim.bind(f"\0rolecall-tests-ports-{first}")
            except OSError:
                continue
            claim.detach()  # Held until this process ends, however it does.
            return _Block(range(first, first + _BLOCK))
    raise RuntimeError("too many processes run tests at once: each has some ports of its own")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
