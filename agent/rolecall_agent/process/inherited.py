"""The endpoints' listening sockets: held by the parent, and handed to each of its workers."""

import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from rolecall_agent.process import supervisor

_VARIABLE = "ROLECALL_HANDED"
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Handed:
    """What a worker has from its parent."""

    sockets: Mapping[str, tuple[socket.socket, ...]]  # By the name of their endpoint.
    deaths: int = 0  # Workers before this one that ended by themselves.
    last: int = 0  # How the last of them did: its exit code, or the signal's number, negative.
    _proof: int = -1  # The descriptor by which it is told; none once it has been.

    def prove(self) -> None:
        """Tell the parent, once, that this worker has come as far as it should."""
        if self._proof >= 0:
            os.write(self._proof, b"\n")
            os.close(self._proof)
            self._proof = -1


def take(environ: MutableMapping[str, str]) -> Handed | None:
    """Return what the parent has handed over, and take it out of *environ*; None without one."""
    text = environ.pop(_VARIABLE, None)
    if text is None:
        return None
    words = dict(word.split("=", 1) for word in text.split())
    _end_with(int(words.pop("parent")))
    proof, deaths, last = (int(words.pop(name)) for name in ("proof", "deaths", "last"))
    sockets = {
        name: tuple(socket.socket(fileno=int(number)) for number in numbers.split(",") if number)
        for name, numbers in words.items()
    }
    return Handed(sockets, deaths, last, proof)


def become_parent(sockets: Mapping[str, Sequence[socket.socket]]) -> NoReturn:
    """Replace this program by the parent, which starts it again as its worker, with *sockets*."""
    words = []
    for name, listeners in sockets.items():
        for each in listeners:
            each.set_inheritable(True)
        words.append(f"{name}={','.join(str(each.fileno()) for each in listeners)}")
    # Nobody's core is ever written; and a signal that comes now is the parent's.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.pthread_sigmask(signal.SIG_BLOCK, supervisor.WATCHED)
    worker = [sys.executable, *sys.orig_argv[1:]]
    # Isolated and without site-packages: it is to be small.
    isolated = [sys.executable, "-I", "-S", supervisor.__file__, " ".join(words), *worker]
    os.execv(sys.executable, isolated)  # noqa: S606 - ourselves


def _end_with(pid: int) -> None:
    """Have the kernel end this process when its parent *pid* ends, however that comes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != pid:  # It has ended already.
        os.kill(os.getpid(), signal.SIGKILL)
