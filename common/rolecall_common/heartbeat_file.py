"""A sign of life from one process of a pod to another: a held lock, and a stamp beside it.

The lock says that somebody is there, and cannot outlive its holder. The stamp says when that
somebody last did its work, by the machine's monotonic clock, which all containers share; a process
that hangs keeps the lock and not the stamp. No port is opened for it, and no secret is in it.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from rolecall_common.guards import Endpoint, Guard
from rolecall_common.probe import LARGEST, LOCK, WELL, WHOLE_FILE, is_held

_MOST_COUNTED = 2**63
_Counted = TypeVar("_Counted", bound=StrEnum)


class Condition(StrEnum):
    """What the process that writes says of its work."""

    IN_PLACE = "in_place"
    SUPERSEDED = "superseded"  # A newer one does the work; there is nothing to repair.
    WAITING = "waiting"  # Its own work is yet to begin, and whoever did it before goes on.
    BLOCKED = "blocked"  # Its rules are in place, and somebody else's keep pods from an endpoint.
    FAILING = "failing"
    READY = "ready"
    NOT_READY = "not_ready"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One stamp."""

    at: float  # Of the monotonic clock, in seconds.
    period: float  # Within how many seconds the next one comes.
    condition: Condition
    generation: int = 0
    repairs: int = 0
    # Of a warden, since it began: packets that its guards have dropped, and those for an endpoint
    # that rules of somebody else have; and which endpoints pods do not come to by now.
    dropped: Mapping[Guard, int] = field(default_factory=dict)
    lost: Mapping[Endpoint, int] = field(default_factory=dict)
    blocked: tuple[Endpoint, ...] = ()
    text: str = ""  # For a person, where something is to be said.


@dataclass(frozen=True, slots=True)
class Health:
    """What a reader may conclude: whether all is well, and a line that says why not."""

    ok: bool
    reason: str = ""
    heartbeat: Heartbeat | None = None
    current: bool = False  # Whether the stamp says how things are now.


class HeldError(Exception):
    """Somebody else holds the lock."""


class HeartbeatFile:
    """The side that writes it. See `hold`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, heartbeat: Heartbeat) -> None:
        """Replace the stamp as a whole, so that nobody reads half of one. Raises OSError."""
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(heartbeat)))
        draft.chmod(0o644)  # The reader is another user.
        draft.replace(stamp_path(self._path))


@contextlib.contextmanager
def hold(path: Path) -> Iterator[HeartbeatFile]:
    """Hold the lock at *path* while the block runs. Raises OSError and HeldError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            # Of the open file and not of the process: it can be asked for without being taken.
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, LOCK.pack(fcntl.F_WRLCK, *WHOLE_FILE))
        except (BlockingIOError, PermissionError) as error:
            raise HeldError(f"{path} is held by another process") from error
        # A stamp of an earlier boot may lie ahead of this one's clock.
        stamp_path(path).unlink(missing_ok=True)
        yield HeartbeatFile(path)
    finally:
        os.close(descriptor)


def stamp_path(path: Path) -> Path:
    """Return where the stamp is of whoever holds the lock at *path*."""
    return path.with_suffix(".json")


def read(path: Path, now: float | None = None) -> Health:
    """Say how the holder of *path* is; never raises, and never keeps anybody from the lock."""
    try:
        held = is_held(str(path))
        with stamp_path(path).open("rb") as stream:
            text = stream.read(LARGEST)
    except FileNotFoundError:
        return Health(ok=False, reason="it has not shown itself yet")
    except OSError as error:
        return Health(ok=False, reason=f"{path}: {error.strerror}")
    return evaluate(text, held=held, now=time.monotonic() if now is None else now)


def evaluate(text: bytes, *, held: bool, now: float) -> Health:
    """Return what follows from the stamp's *text* and the lock. Whatever is written, no raise."""
    heartbeat = parse(text)
    if heartbeat is None:
        return Health(ok=False, reason="its stamp cannot be read")
    outdated = _outdated(heartbeat, held=held, now=now)
    if outdated:
        return Health(ok=False, reason=outdated, heartbeat=heartbeat)
    ok = heartbeat.condition in WELL
    reason = "" if ok else heartbeat.text or heartbeat.condition
    return Health(ok=ok, reason=reason, heartbeat=heartbeat, current=True)


def _outdated(heartbeat: Heartbeat, *, held: bool, now: float) -> str:
    """Return why *heartbeat* does not say how things are now; "" where it does."""
    age = now - heartbeat.at
    if not held:
        return "it is gone"
    # A stamp from the future is of another boot, or of another machine.
    if age < 0:
        return "its stamp is not of now"
    old = age > 2 * heartbeat.period
    return f"it has not been heard for {timedelta(seconds=round(age))}" if old else ""


def parse(text: bytes) -> Heartbeat | None:
    """Read a stamp; None where it is none."""
    try:
        fields = json.loads(text)
        heartbeat = Heartbeat(
            at=float(fields["at"]),
            period=float(fields["period"]),
            condition=Condition(fields["condition"]),
            generation=int(fields["generation"]),
            repairs=_count(fields["repairs"]),
            dropped=_counts(Guard, fields["dropped"]),
            lost=_counts(Endpoint, fields["lost"]),
            blocked=tuple(each for each in Endpoint if each in fields["blocked"]),
            text=str(fields["text"]),
        )
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        return None
    # A day is longer than any period, and what is not a number is in no range.
    return heartbeat if abs(heartbeat.at) < 2**53 and 0 < heartbeat.period <= 86_400 else None  # noqa: PLR2004


def _counts(kind: type[_Counted], fields: Mapping[str, Any]) -> dict[_Counted, int]:
    return {each: _count(fields[each]) for each in kind if each in fields}


def _count(field: Any) -> int:  # noqa: ANN401 - JSON
    count = int(field)
    if not 0 <= count < _MOST_COUNTED:
        raise ValueError("a count is out of range")
    return count
