"""Processes that go on by themselves: started, recorded, and ended by exactly who they are."""

import contextlib
import json
import os
import select
import signal
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# The API server ends its requests first; what needs longer has hung.
_PATIENCE = 15.0


class StartError(Exception):
    """A part of the cluster did not start; the text has the end of its log."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its number and its start, since numbers are given again."""

    name: str
    pid: int
    started: int

    @classmethod
    def of(cls, name: str, pid: int) -> "Process":
        return cls(name, pid, _start_of(pid))

    @property
    def is_running(self) -> bool:
        return _start_of(self.pid) == self.started


def start(name: str, command: Sequence[str | Path], log: Path) -> Process:
    """Start *command* with its output in *log*; it does not end with whoever started it."""
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        command[0],
        [os.fspath(part) for part in command],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        # A Ctrl+C is for whoever started it, who ends everything in the right order.
        setsid=True,
    )
    return Process.of(name, pid)


def stop(processes: Iterable[Process]) -> None:
    """End all of them, all at once, and return when none is left."""
    with contextlib.ExitStack() as stack:
        opened: dict[int, Process] = {}
        for process in processes:
            if (handle := _open(process)) is not None:
                stack.callback(os.close, handle)
                opened[handle] = process
        for number in (signal.SIGTERM, signal.SIGKILL):
            for handle in opened:
                _send(handle, number)
            _drop_ended(opened)


def pause(process: Process) -> None:
    """Let *process* stand still until `resume`, as if no time went by."""
    _signal(process, signal.SIGSTOP)


def resume(process: Process) -> None:
    """Let *process* go on."""
    _signal(process, signal.SIGCONT)


def check(process: Process, log: Path) -> None:
    """Raise StartError, with the end of its *log*, if *process* has ended already."""
    if not process.is_running:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise StartError(f"{process.name} ended by itself; {log} ends with:\n{tail}")


def record(file: Path, processes: Iterable[Process]) -> None:
    """Write down who the *processes* are, for whoever ends them later."""
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps([asdict(process) for process in processes]))
    draft.rename(file)


def recorded(file: Path) -> list[Process]:
    """Return what `record` wrote; nothing where it never did."""
    if not file.exists():
        return []
    return [Process(**each) for each in json.loads(file.read_text())]


def _open(process: Process) -> int | None:
    """Return a handle that can mean no other process, even if the number is given again."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if process.is_running:
        return handle
    os.close(handle)
    return None


def _signal(process: Process, number: signal.Signals) -> None:
    if (handle := _open(process)) is not None:
        _send(handle, number)
        os.close(handle)


def _send(handle: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # It has ended, as its handle says next.
        signal.pidfd_send_signal(handle, number)


def _drop_ended(opened: dict[int, Process]) -> None:
    """Wait until all have ended or patience has, and drop those that have."""
    poll = select.poll()
    for handle in opened:
        poll.register(handle, select.POLLIN)
    while opened and (ready := poll.poll(_PATIENCE * 1000)):
        for handle, _ in ready:
            poll.unregister(handle)
            with contextlib.suppress(ChildProcessError):
                # One of our own stays in the table of processes until it is waited for.
                os.waitpid(opened.pop(handle).pid, 0)


def _start_of(pid: int) -> int:
    """Return when *pid* started, in ticks since the machine did; 0 where it has ended."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # The name in parentheses may have anything in it. State is field 3, the start is field 22.
    fields = told.rpartition(")")[2].split()
    return 0 if fields[0] == "Z" else int(fields[19])
