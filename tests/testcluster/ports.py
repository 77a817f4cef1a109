"""Ports for servers that are started, stopped and started again on the same one."""

import random
import socket
from itertools import cycle

# Below those that the kernel gives to outgoing connections, one of which could take the port of a
# server that is stopped for a moment.
_RANGE = range(20_000, 32_000)

# Each is given once before any is given again: what was given may not be listened on yet.
_next = cycle(random.sample(_RANGE, k=len(_RANGE)))


def free_ports(count: int) -> list[int]:
    """Return *count* ports of loopback that nobody listens on now, and nobody else was given."""
    found: list[int] = []
    for port, _ in zip(_next, _RANGE, strict=False):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            break
    return found
