"""Processes that go on by themselves: started, recorded, and ended by exactly who they are."""

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
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
    """Start *command* in a process group of its own, with its output in *log*."""
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - our own command lines
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A Ctrl+C is for whoever started it, who ends everything in the right order.
            start_new_session=True,
        )
    _children[child.pid] = child
    return Process.of(name, child.pid)


def stop(processes: Iterable[Process]) -> None:
    """End all of them, all at once, and return when none is left."""
    with ExitStack() as stack:
        opened: dict[int, Process] = {}
        for process in processes:
            if (handle := _open(process)) is not None:
                stack.callback(os.close, handle)
                opened[handle] = process
        for number in (signal.SIGTERM, signal.SIGKILL):
            for handle in opened:
                _send(handle, number)
            _drop_ended(opened)


def check(process: Process, log: Path) -> None:
    """Raise StartError, with the end of its *log*, if *process* has ended already."""
    child = _children.get(process.pid)
    if child is not None and child.poll() is not None:
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


# Those that this process started: a child that is not waited for stays in the table of processes.
_children: dict[int, subprocess.Popen[bytes]] = {}


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


def _send(handle: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return  # It has ended, and its handle says so next.


def _drop_ended(opened: dict[int, Process]) -> None:
    """Wait until all have ended or patience has, and drop those that have."""
    poll = select.poll()
    for handle in opened:
        poll.register(handle, select.POLLIN)
    while opened and (ready := poll.poll(_PATIENCE * 1000)):
        for handle, _ in ready:
            poll.unregister(handle)
            process = opened.pop(handle)
            if child := _children.pop(process.pid, None):
                child.wait()


def _start_of(pid: int) -> int:
    """Return when *pid* started, in ticks since the machine did; 0 where it has ended."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # The name in parentheses may have anything in it. State is field 3, the start is field 22.
    fields = told.rpartition(")")[2].split()
    return 0 if fields[0] == "Z" else int(fields[19])
