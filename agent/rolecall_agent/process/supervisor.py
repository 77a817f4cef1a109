"""Holds the listening sockets of the endpoints while workers come and go, and does nothing else.

`rolecall agent` binds the sockets and becomes this program, in the same process (`inherited.py`).
It is run as a file, without the agent's packages and without site-packages: what it needs is the
interpreter. A connection that comes while no worker is there waits in the sockets' backlog.

Signals are blocked and waited for, so that no handler is ever run and none is missed. As the first
process of a container it reaps whatever is left to it.
"""

import os
import signal
import sys

# A start after one that came to nothing waits, each time twice as long, up to the last of these.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
UNUSABLE = 2  # A worker ends so when what it was told cannot be used: another one could not either.
FAILED = 1

_STOPS = frozenset({signal.SIGTERM, signal.SIGINT})
WATCHED = _STOPS | {signal.SIGCHLD, signal.SIGALRM}


class Parent:
    """Keeps one worker running until it is told to stop.

    A worker that once held all that a server has for this node has *proved* itself, by a byte in a
    pipe. The next one after it is started at once, and so is the first after one that did not.
    """

    def __init__(self, handed: str, command: list[str]) -> None:
        self._handed = handed
        self._command = command
        self._proofs, self._proof = os.pipe()
        os.set_blocking(self._proofs, False)
        os.set_inheritable(self._proof, True)  # noqa: FBT003 - as the standard library has it
        self._deaths = 0
        self._last = 0

    def run(self) -> int:
        """Return the exit code that this process should have."""
        failures = 0
        while True:
            code, told = self._life()
            if told or code == UNUSABLE:
                return _exit_code(code, told)
            failures = 0 if self._proved() else failures + 1
            self._deaths += 1
            self._last = code
            if failures > 1 and not _paused(min(FIRST_PAUSE * 2 ** (failures - 2), LONGEST_PAUSE)):
                return 0

    def _life(self) -> tuple[int, int]:
        """Run one worker; return how it ended, and the last signal that was passed on to it."""
        worker = self._start()
        if worker is None:
            return FAILED, 0
        told = 0
        while True:
            number = signal.sigwait(WATCHED)
            if number in _STOPS:
                told = number
                os.kill(worker, number)
            code = _reaped(worker)
            if code is not None:
                return code, told

    def _start(self) -> int | None:
        history = f"deaths={self._deaths} last={self._last}"
        handed = f"parent={os.getpid()} proof={self._proof} {history} {self._handed}"
        environment = {**os.environ, "ROLECALL_HANDED": handed}
        try:
            # It begins with no signal blocked, and with these descriptors, which are inheritable.
            return os.posix_spawn(self._command[0], self._command, environment, setsigmask=())
        except OSError as error:  # No memory or no process to be had, for the moment.
            sys.stderr.write(f"rolecall agent: no worker can be started: {error.strerror}\n")
            return None

    def _proved(self) -> bool:
        """Whether the last worker has; what it wrote is no proof of the next one."""
        proved = False
        while True:
            try:
                os.read(self._proofs, 4096)
            except BlockingIOError:
                return proved
            proved = True


def _reaped(worker: int) -> int | None:
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


def _paused(seconds: float) -> bool:
    """Wait; return False where a stop is told meanwhile."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    while (number := signal.sigwait(WATCHED)) != signal.SIGALRM:
        if number in _STOPS:
            return False
    return True


def _exit_code(code: int, told: int) -> int:
    if code >= 0:
        return code
    # Ended by the very signal that was passed on, before it could handle it: as it was told.
    return 0 if -code == told else 128 - code


def main() -> int:
    handed, *command = sys.argv[1:]
    # They were blocked before this program began, by whoever became it; once more does no harm.
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    return Parent(handed, command).run()


if __name__ == "__main__":
    sys.exit(main())
