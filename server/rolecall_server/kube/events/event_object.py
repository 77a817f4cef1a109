"""What an Event on a pod says, as `events.k8s.io/v1` has it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from rolecall_proto.values import PodUid
from rolecall_server.telemetry.event_reasons import EventReason

CONTROLLER = "rolecall.io/server"
ACTION = "AssignRole"
# The API server's own limits, both in bytes of UTF-8.
MOST_NOTE = 1024
_MOST_INSTANCE = 128
_MOST_NAME = 253
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_HASH = 16  # digits: 64 bits, of one pod's few causes


@dataclass(frozen=True, slots=True)
class Cause:
    """What is wrong with one pod; the same again is the same series."""

    uid: PodUid
    namespace: str
    pod: str
    reason: EventReason
    note: str


@dataclass(slots=True, eq=False)
class Series:
    """One cause, how often it was seen, and how much of that the API server knows.

    A series has no end but that of its Event: the Event's name follows from the cause, so that as
    long as the API server keeps it, the same cause is the same Event.
    """

    cause: Cause
    since: datetime
    last: datetime
    count: int = 1
    reported: int = 0
    written: datetime | None = None
    exists: bool = False  # As far as the API server was heard.
    resting: bool = False  # There is news, which wait until it may be written again.
    contradictions: int = 0  # Answers in a row that sent it another way.


def note_of(sentence: str) -> str:
    """Return *sentence* as a note: one line of printable characters, as long as a note may be."""
    # A character is a byte at least: what is behind as many as there may be bytes is cut anyway.
    shown = sentence[: MOST_NOTE + 1]
    if not shown.isprintable():
        # Half of a sentence may be what somebody wrote into an annotation.
        shown = "".join(each if each.isprintable() else _REPLACEMENT for each in shown)
    return _cut(shown, MOST_NOTE)


def name_of(cause: Cause) -> str:
    """Return the name of the Event for *cause*.

    It follows from the cause alone: another replica, or this one after a restart, finds the Event
    there and goes on with its series.
    """
    text = f"{cause.uid}\0{cause.reason}\0{cause.note}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:_HASH]
    # A pod's name may be as long as an Event's. What is cut must not end where a name may not.
    return f"{cause.pod[: _MOST_NAME - _HASH - 1].rstrip('-.')}.{digest}"


def new_event(series: Series, instance: str) -> dict[str, object]:
    """Return the Event for *series* as it is now, written by *instance* of the server."""
    cause = series.cause
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name_of(cause), "namespace": cause.namespace},
        "type": "Warning",
        "reason": str(cause.reason),
        "note": cause.note,
        "action": ACTION,
        "eventTime": _stamp(series.since),
        "reportingController": CONTROLLER,
        "reportingInstance": _cut(instance, _MOST_INSTANCE) or "unknown",
        "regarding": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": cause.namespace,
            "name": cause.pod,
            "uid": cause.uid,
        },
        # One time is no series: the API server refuses a count below two.
        **(repeats(series) if series.count > 1 else {}),
    }


def repeats(series: Series) -> dict[str, object]:
    """Return what has changed of the Event when its cause was seen again: a merge patch."""
    return {"series": {"count": series.count, "lastObservedTime": _stamp(series.last)}}


def _stamp(moment: datetime) -> str:
    # Six digits after the point, always: the API server takes no other number of them.
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _cut(text: str, most: int) -> str:
    spelt = text.encode()
    if len(spelt) <= most:
        return text
    return spelt[: most - len("…".encode())].decode(errors="ignore") + "…"
