"""The first process in namespaces of its own: holds them, and starts what runs in them.

It is told what by a line of JSON, over the socket whose number is its argument. It imports nothing
of ours, since it is started by its path.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from typing import NoReturn


def main() -> int:
    # Whoever is the first process of its namespace has no signal's default: without this it would
    # stay. When it goes, the kernel ends all others at once, as a loss of power does.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with socket.socket(fileno=int(sys.argv[1])) as channel, channel.makefile("rw") as lines:
        # To be running is to be in the namespaces.
        lines.write("here\n")
        lines.flush()
        services = json.loads(lines.readline())
    names = {_start(**service): service["name"] for service in services}
    while True:
        _hold(names)


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


def _hold(names: dict[int, str]) -> None:
    """Wait for a child's end. Orphans are taken in and forgotten, but a service has to stay."""
    with contextlib.suppress(ChildProcessError):
        pid, status = os.wait()
        if pid in names:
            _give_up(f"{names[pid]} ended with {os.waitstatus_to_exitcode(status)}: see its log")
        return
    signal.pause()


def _give_up(reason: str) -> NoReturn:
    print(reason, flush=True)  # noqa: T201 - its log
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
