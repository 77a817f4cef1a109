"""Namespaces without a name: they are held by a process, and gone when it is."""

import json
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from testcluster.processes import Process, StartError, check, start, stop
from testcluster.tools import run, tool

_INIT = Path(__file__).with_name("init.py")
# Its number is the same in the process that is started.
_Channel = socket.socket


@dataclass(slots=True)
class Holder:
    """Namespaces of the kinds that `unshare` and `nsenter` call by these words."""

    name: str
    log: Path
    kinds: tuple[str, ...]
    # What has to be said first, to begin from within other namespaces.
    within: tuple[str | Path, ...] = ()
    processes: tuple[Process, ...] = ()
    _channel: _Channel | None = None

    @property
    def pid(self) -> int:
        """The first process in them, by the number that it has outside."""
        return self.processes[-1].pid

    def start(self) -> None:
        """Make the namespaces; nothing runs in them yet.

        Raises: StartError.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.set_inheritable(True)
            outer = start(self.name, self._command(theirs.fileno()), self.log)
        self.processes = (outer,)
        self._channel = ours
        with ours.makefile("r") as lines:
            if lines.readline() != "here\n":
                ours.close()
                stop([outer])
                raise StartError(f"{self.name} was not made: {self.log.read_text()}")
        if "pid" in self.kinds:
            # `unshare` waits for the first process of the new namespace, its only child.
            children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text()
            self.processes = (outer, Process.of(self.name, int(children)))

    def _command(self, channel: int) -> list[str | Path]:
        kinds = [f"--{kind}" for kind in self.kinds]
        own_processes = ["--fork", "--mount-proc"] if "pid" in self.kinds else []
        command = [sys.executable, "-I", _INIT, str(channel)]
        return [*self.within, tool("unshare"), *kinds, *own_processes, "--", *command]

    def go(self, services: Iterable[Mapping[str, object]] = ()) -> None:
        """Start the services: `name`, `command` and `log` of each. Can be done once."""
        assert self._channel is not None
        with self._channel as channel:
            channel.sendall(json.dumps(list(services)).encode() + b"\n")
        self._channel = None

    def inside(self) -> list[str | Path]:
        """Return what a command begins with that runs in the namespaces."""
        return self.inside_only(*self.kinds)

    def inside_only(self, *kinds: str) -> list[str | Path]:
        """Return the same for some of the namespaces."""
        words = [f"--{kind}" for kind in kinds]
        return [tool("nsenter"), f"--target={self.pid}", *words, "--"]

    def run(self, *command: str | Path) -> str:
        """Run a command in the namespaces and return what it printed.

        Raises: StartError.
        """
        return run(*self.inside(), *command)

    def check(self) -> None:
        """Raise StartError, with the end of the log, if the first process has ended."""
        check(self.processes[-1], self.log)

    def stop(self) -> None:
        """End everything in the namespaces, and them."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        stop(self.processes)
        self.processes = ()
