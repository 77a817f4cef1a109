"""How many descriptors this process may have: each connection of a pod is one."""

import contextlib
import resource

# The stream, the probes, files, the listeners, and what a library may open meanwhile.
_OTHERS = 512


def room_for(connections: int) -> int:
    """Raise the limit, where that is allowed, and return how many of *connections* it leaves.

    For four of them there is one more that waits to be taken up (`http/acceptor.py`).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections * 5 // 4 + _OTHERS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):  # The limit that there is, then.
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    if soft == resource.RLIM_INFINITY:
        return connections
    return min(connections, max((soft - _OTHERS) * 4 // 5, soft // 2))
