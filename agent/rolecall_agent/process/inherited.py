"""What a worker inherits: the endpoints' listening sockets, which its supervisor holds."""

import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from rolecall_agent.process import supervisor

_VARIABLE = "ROLECALL_INHERITED"
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Inherited:
    """What a worker has from its supervisor, which is its parent process."""

    sockets: Mapping[str, tuple[socket.socket, ...]]  # By the name of their endpoint.
    deaths: Mapping[str, int] = field(default_factory=dict)  # Workers that ended, by `CAUSES`.
    last_exit: int = 0  # How the last of them did: its code, or the signal's number, negative.
    has_begun: bool = False  # Whether any of them could use what it was told.
    _tell: int = -1  # The descriptor by which the supervisor is told; none after the last word.

    @property
    def restarts(self) -> int:
        """How many workers before this one ended by themselves."""
        return sum(self.deaths.values())

    def report_begun(self) -> None:
        """Tell the supervisor that this worker could use what it was told."""
        if self._tell >= 0:
            os.write(self._tell, supervisor.BEGUN)

    def report_synced(self) -> None:
        """Tell the supervisor, once, that this worker holds all that a server has for the node."""
        if self._tell >= 0:
            os.write(self._tell, supervisor.SYNCED)
            os.close(self._tell)
            self._tell = -1


def take(environ: MutableMapping[str, str]) -> Inherited | None:
    """Take what the supervisor hands on out of *environ*; None where there is none yet."""
    text = environ.pop(_VARIABLE, None)
    if text is None:
        return None
    words = dict(word.split("=", 1) for word in text.split())
    _end_with_parent(int(words.pop("parent")))
    tell, has_begun, last_exit = (
        int(words.pop(name)) for name in ("tell", "has_begun", "last_exit")
    )
    deaths = {cause: int(words.pop(cause)) for cause in supervisor.CAUSES}
    sockets = {
        name: tuple(socket.socket(fileno=int(number)) for number in numbers.split(",") if number)
        for name, numbers in words.items()
    }
    return Inherited(sockets, deaths, last_exit, bool(has_begun), tell)


def become_supervisor(sockets: Mapping[str, Sequence[socket.socket]]) -> NoReturn:
    """Replace this program by the supervisor of a worker, which is this program with *sockets*."""
    words = []
    for name, listeners in sockets.items():
        for each in listeners:
            each.set_inheritable(True)
        words.append(f"{name}={','.join(str(each.fileno()) for each in listeners)}")
    # Nobody's core is ever written; and a signal that comes now is the supervisor's.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.pthread_sigmask(signal.SIG_BLOCK, supervisor.WATCHED)
    worker = [sys.executable, *sys.orig_argv[1:]]
    # Isolated and without site-packages: it is to be small.
    isolated = [sys.executable, "-I", "-S", supervisor.__file__, " ".join(words), *worker]
    os.execv(sys.executable, isolated)  # noqa: S606 - ourselves


def _end_with_parent(pid: int) -> None:
    """Have the kernel end this process when its parent *pid* ends, however that comes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != pid:  # It has ended already.
        os.kill(os.getpid(), signal.SIGKILL)
