"""Holds the listening sockets of the endpoints while workers come and go, and does nothing else.

`rolecall agent` binds the sockets and becomes this program, in the same process (`inherited.py`).
It is run as a file, without the agent's packages and without site-packages: what it needs is the
interpreter. A connection that comes while no worker is there waits in the sockets' backlog.

Signals are blocked and waited for, so that no handler is ever run and none is missed. As the first
process of a container it reaps whatever is left to it.
"""

import os
import select
import signal
import sys

# A start after one that came to nothing waits, each time twice as long, up to the last of these.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
FAILED = 1
UNUSABLE = 2  # A worker ends so when what it was told cannot be used.
MEMORY = 3  # And so where it leaves before the memory that it may have is used up.

# What a worker says by the pipe: that it could begin, and that it holds all that a server has for
# this node.
BEGUN, SYNCED = b"b", b"s"

# How workers end by themselves: by a signal, by a bug, and by the last two codes above.
CAUSES = ("killed", "failed", "unusable", "memory")

_STOPS = frozenset({signal.SIGTERM, signal.SIGINT})
WATCHED = _STOPS | {signal.SIGCHLD, signal.SIGALRM}


class Supervisor:
    """Keeps one worker running until it is told to stop.

    Where the first worker cannot use what it is told, neither could another, and that is the end.
    Once one *has begun*, that is a crash like any other: a file can be broken for a moment, and
    with this process the endpoints would close.

    The next worker after one that was *synced* is started at once, and so is the first after one
    that was not.
    """

    def __init__(self, inherited: str, command: list[str]) -> None:
        self._inherited = inherited
        self._command = command
        self._told, self._tell = os.pipe()
        os.set_blocking(self._told, False)
        os.set_inheritable(self._tell, True)  # noqa: FBT003 - as the standard library has it
        self._deaths = dict.fromkeys(CAUSES, 0)
        self._last_exit = 0
        self._has_begun = False

    def run(self) -> int:
        """Return the exit code that this process should have."""
        failures = 0
        while True:
            code, stop = self._run_worker()
            said = self._said()
            self._has_begun = self._has_begun or BEGUN in said
            if stop or (code == UNUSABLE and not self._has_begun):
                return _exit_code(code, stop)
            failures = 0 if SYNCED in said else failures + 1
            self._deaths[_cause(code)] += 1
            self._last_exit = code
            if failures > 1 and not _pause(min(FIRST_PAUSE * 2 ** (failures - 2), LONGEST_PAUSE)):
                return 0

    def _run_worker(self) -> tuple[int, int]:
        """Run one worker; return how it ended, and the last signal that was passed on to it."""
        worker = self._spawn()
        if worker is None:
            return FAILED, 0
        stop = 0
        while True:
            number = signal.sigwait(WATCHED)
            code = _reap(worker)
            if number in _STOPS and code is None:
                stop = number
                os.kill(worker, number)
            elif number in _STOPS and not stop:
                return 0, number  # It had ended before a stop: one between two workers.
            if code is not None:
                return code, stop

    def _spawn(self) -> int | None:
        history = f"has_begun={self._has_begun:d} last_exit={self._last_exit}"
        deaths = " ".join(f"{cause}={count}" for cause, count in self._deaths.items())
        own = f"parent={os.getpid()} tell={self._tell} {history} {deaths}"
        environment = {**os.environ, "ROLECALL_INHERITED": f"{own} {self._inherited}"}
        try:
            # It begins with no signal blocked, and with these descriptors, which are inheritable.
            return os.posix_spawn(self._command[0], self._command, environment, setsigmask=())
        except OSError as error:  # No memory or no process to be had, for the moment.
            _complain(f"rolecall agent: no worker can be started: {error.strerror}\n")
            return None

    def _said(self) -> bytes:
        """Return what the last worker has said; it says nothing of the next one."""
        said = b""
        while True:
            try:
                said += os.read(self._told, 4096)
            except BlockingIOError:
                return said


def _complain(line: str) -> None:
    # Whoever reads it may stand still, or be gone, or the disk full: nothing of that ends this
    # process or has it wait. A pipe that is ready has room for a line. It is the worker's, too, and
    # so it cannot be made one that never blocks.
    errors = select.poll()
    errors.register(2, select.POLLOUT)
    try:
        if errors.poll(0):
            os.write(2, line.encode())
    except OSError:
        pass


def _cause(code: int) -> str:
    if code < 0:
        return "killed"
    return {UNUSABLE: "unusable", MEMORY: "memory"}.get(code, "failed")


def _reap(worker: int) -> int | None:
    """Reap all that has ended; return how *worker* did, if it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == worker:
            code = os.waitstatus_to_exitcode(status)


def _pause(seconds: float) -> bool:
    """Wait; return False where a stop is told meanwhile."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    while (number := signal.sigwait(WATCHED)) != signal.SIGALRM:
        if number in _STOPS:
            return False
    return True


def _exit_code(code: int, stop: int) -> int:
    if code >= 0:
        return code
    # Ended by the very signal that was passed on, before it could handle it: as it was told.
    return 0 if -code == stop else 128 - code


def main() -> int:
    inherited, *command = sys.argv[1:]
    # They were blocked before this program began, by whoever became it; once more does no harm.
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    return Supervisor(inherited, command).run()


if __name__ == "__main__":
    sys.exit(main())
