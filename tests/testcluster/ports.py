"""Ports for servers that are started, stopped and started again on the same one."""

import random
import socket
from itertools import cycle

# Below those that the kernel gives to outgoing connections, one of which could take the port of a
# server that is stopped for a moment.
_RANGE = range(20_000, 32_000)

_next = cycle(random.sample(_RANGE, k=len(_RANGE)))
# None is given again before half of them were: what was given may not be listened on yet.
_given: set[int] = set()


def free_ports(count: int, room: int = 0) -> list[int]:
    """Return *count* ports of loopback that nobody listens on now, and nobody else was given.

    So are the *room* ports after each of them.
    """
    if len(_given) > len(_RANGE) // 2:
        _given.clear()
    found: list[int] = []
    for port, _ in zip(_next, _RANGE, strict=False):
        ports = range(port, port + 1 + room)
        if _given.isdisjoint(ports) and all(map(_is_free, ports)):
            _given.update(ports)
            found.append(port)
        if len(found) == count:
            break
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
