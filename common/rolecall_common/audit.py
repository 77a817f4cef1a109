"""The audit log: a stream of its own, one JSON object a line, by a schema that is checked in.

What is written here is for people who ask who had which credentials when. It ties a session to
CloudTrail by its access key id, which is no secret; nothing else of a credential is ever written.
"""

import contextlib
import errno
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from rolecall_common.line_writer import LineWriter, Room

log = logging.getLogger(__name__)

Field = str | int | None

# How long the end of a process may take for what is not written yet.
_LAST_SECONDS = 2.0


class Lines(Protocol):
    """Where lines go."""

    @property
    def lost(self) -> int: ...

    def write(self, line: str, /) -> object:
        """Take *line*, without waiting until it is written; one that never is counts as lost."""
        ...


class AuditLog:
    """Writes records. A record that cannot be written is counted, and stops nobody."""

    def __init__(self, out: Lines | None) -> None:
        """Write to *out*; to nowhere without one."""
        self._out = out

    @property
    def lost(self) -> int:
        return self._out.lost if self._out is not None else 0

    def write(self, event: str, at: datetime, **fields: Field) -> None:
        """Write one record: *event* names what happened *at* a moment."""
        if self._out is not None:
            self._out.write(_line(event, at, **fields))


def stamp(moment: datetime) -> str:
    """Return *moment* as records and documents spell it: UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextlib.contextmanager
def auditing(file: Path | None, now: Callable[[], datetime], room: Room) -> Iterator[AuditLog]:
    """Keep the audit log open while the block runs: `-` is stdout, None is nowhere.

    Raises OSError where *file* cannot be opened. Only its owner may read a file that this makes.
    """
    if file is None:
        yield AuditLog(None)
        return
    descriptor = _stdout() if str(file) == "-" else _appended(file)

    def say_lost(count: int) -> str:
        return _line("records_lost", now(), count=count)

    lines = LineWriter(descriptor, room, say_lost, _NamedOnce())
    try:
        yield AuditLog(lines)
    finally:
        # Where a write does not end, its descriptor must not become another file's meanwhile.
        if lines.close(_LAST_SECONDS):
            os.close(descriptor)


def _line(event: str, at: datetime, **fields: Field) -> str:
    return json.dumps({"type": "audit", "time": stamp(at), "event": event, **fields}) + "\n"


class _NamedOnce:
    """Names the first loss in the log; the metric counts the others."""

    def __init__(self) -> None:
        self._named = False

    def __call__(self, reason: str) -> None:
        if not self._named:
            self._named = True
            log.error("audit records are lost", extra={"reason": reason})


def _stdout() -> int:
    # A copy, so that nothing is stuck in Python's own stream: that would turn a good end into a bad
    # exit code.
    if sys.stdout is None:
        raise OSError(errno.EBADF, "stdout is closed, and audit records are to go there")
    return os.dup(sys.stdout.fileno())


def _appended(file: Path) -> int:
    return os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
