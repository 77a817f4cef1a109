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
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

log = logging.getLogger(__name__)

Field = str | int | None


class Lines(Protocol):
    """Where lines go."""

    def write(self, line: str, /) -> object:
        """Write *line* at once. Raises OSError."""
        ...


class AuditLog:
    """Writes records. A record that cannot be written is counted, and stops nobody."""

    def __init__(self, out: Lines | None) -> None:
        """Write to *out*; to nowhere without one."""
        self._out = out
        self.lost = 0

    def write(self, event: str, at: datetime, **fields: Field) -> None:
        """Write one record: *event* names what happened *at* a moment."""
        if self._out is None:
            return
        record = {"type": "audit", "time": stamp(at), "event": event, **fields}
        try:
            self._out.write(json.dumps(record) + "\n")
        except OSError as error:
            self.lost += 1
            if self.lost == 1:
                log.error("audit records are lost", extra={"reason": error.strerror})  # noqa: TRY400 - the reason is a field


def stamp(moment: datetime) -> str:
    """Return *moment* as records and documents spell it: UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextlib.contextmanager
def auditing(file: Path | None) -> Iterator[AuditLog]:
    """Keep the audit log open while the block runs: `-` is stdout, None is nowhere.

    Raises OSError where *file* cannot be opened. Only its owner may read a file that this makes.
    """
    if file is None:
        yield AuditLog(None)
        return
    descriptor = _stdout() if str(file) == "-" else _appended(file)
    try:
        yield AuditLog(_Descriptor(descriptor))
    finally:
        os.close(descriptor)


def _stdout() -> int:
    # A copy, so that nothing is stuck in Python's own stream: that would turn a good end into a bad
    # exit code.
    if sys.stdout is None:
        raise OSError(errno.EBADF, "stdout is closed, and audit records are to go there")
    return os.dup(sys.stdout.fileno())


def _appended(file: Path) -> int:
    return os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


class _Descriptor:
    """Lines to a file descriptor, past any buffer: what was counted as lost is not written later.

    A line that was torn, by a disk that became full, spoils no other one.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._torn = False

    def write(self, line: str, /) -> None:
        data = (("\n" if self._torn else "") + line).encode("ascii")
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        finally:
            self._torn = bool(rest) and (self._torn or len(rest) < len(data))
