"""The audit log: a stream of its own, one JSON object a line, by a schema that is checked in.

What is written here is for people who ask who had which credentials when. It ties a session to
CloudTrail by its access key id, which is no secret; nothing else of a credential is ever written.
"""

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

log = logging.getLogger(__name__)

Field = str | int | None


class AuditLog:
    """Writes records. A record that cannot be written is counted, and stops nobody."""

    def __init__(self, out: TextIO | None) -> None:
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
            self._out.flush()
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
    elif str(file) == "-":
        yield AuditLog(sys.stdout)
    else:
        file.touch(mode=0o600)
        with file.open("a", encoding="ascii") as out:
            yield AuditLog(out)
