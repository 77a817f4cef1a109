"""The first process in namespaces of its own: holds them, and starts what runs in them.

It is told what by a line of JSON, over the socket whose number is its argument. It imports nothing
of ours, since it is started by its path.
"""

import json
import os
import signal
import socket
import sys
import time
from typing import Any

# How often a service is started before the node is given up, and how many seconds after its end.
_LIVES = 30
_PAUSE = 1.0


def main() -> int:
    # Whoever is the first process of its namespace has no signal's default: without this it would
    # stay. When it goes, the kernel ends all others at once, as a loss of power does.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with socket.socket(fileno=int(sys.argv[1])) as channel, channel.makefile("rw") as lines:
        # To be running is to be in the namespaces.
        lines.write("here\n")
        lines.flush()
        services = json.loads(lines.readline())
    running = {_start(**service): service for service in services}
    lives = {service["name"]: _LIVES for service in services}
    while True:
        _hold(running, lives)


def _start(name: str, command: list[str], log: str) -> int:
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawnp(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, log, append, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)],
        setsid=True,
    )
    print(f"{name} is process {pid}", flush=True)  # noqa: T201 - its log
    return pid


def _hold(running: dict[int, dict[str, Any]], lives: dict[str, int]) -> None:
    """Wait for a child's end. Orphans are taken in and forgotten, a service is started again.

    A kubelet, for one, ends where containerd does not listen yet.
    """
    try:
        pid, status = os.wait()
    except ChildProcessError:
        signal.pause()
        return
    if service := running.pop(pid, None):
        name, code = service["name"], os.waitstatus_to_exitcode(status)
        print(f"{name} ended with {code}: see {service['log']}", flush=True)  # noqa: T201 - its log
        lives[name] -= 1
        if not lives[name]:
            sys.exit(1)
        time.sleep(_PAUSE)
        running[_start(**service)] = service


if __name__ == "__main__":
    sys.exit(main())
