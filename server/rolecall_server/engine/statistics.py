"""How the engine stands at one moment, counted for metrics."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolecall_proto.values import Reason, State
from rolecall_server.credentials.identity_state import Supply


@dataclass(frozen=True, slots=True)
class Statistics:
    """How the broker stands at one moment, for metrics."""

    pods: int  # Bound to a node and not finished.
    namespaces: int
    # Pods by state and reason; of those entitled to a role, the ones of connected nodes only.
    assigned: Mapping[tuple[State, Reason | None], int]
    sessions: int  # With credentials in hand.
    sessions_idle: int  # Kept for a pod that may come back; not renewed.
    first_end: datetime | None  # The nearest true end among the sessions that are needed.
    nodes: Mapping[str, int]  # Connected agents by version.
    claims_restored: int  # Sessions that agents said they hold already, ever.
    due: int  # Identities that may be issued as soon as the budget allows.
    overdue: int  # Of all needed: due for more than a minute and not issued.
    in_flight: int
    calls_per_second: float  # What the budget allows at the moment.
    quarantined: int
    bugs: int  # Caught at the boundary around one object, ever.
    watch_fresh: bool


# A renewal that has been due for longer is late, whatever holds it up: budget, back-off or a bug.
OVERDUE = timedelta(minutes=1)

# A version is the agent's own word: one that lies must not make a series of each of its lies.
MOST_VERSIONS = 16  # More than one cluster ever runs.
_VERSION = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}[-+.\w]{0,17}", re.ASCII)
_OTHER = "other"

# Decisions of the policy that a change of the cluster may still turn into an answer.
_PENDING = frozenset({Reason.NAMESPACE_UNKNOWN})


def pods_by_state(
    reasons: Mapping[Reason, int], supplies: Iterable[Supply]
) -> Mapping[tuple[State, Reason | None], int]:
    """Count pods by what they get: decisions by their *reasons*, the entitled by their supply."""
    counts: Counter[tuple[State, Reason | None]] = Counter()
    for reason, count in reasons.items():
        if count:
            counts[State.PENDING if reason in _PENDING else State.DENIED, reason] += count
    for supply in supplies:
        session_id = supply.identity.session_id
        for connection in supply.needed_by:
            counts[supply.standing(connection)] += len(connection.users[session_id])
    return counts


def by_version(versions: Iterable[str]) -> Mapping[str, int]:
    """Count agents by the version they say: the commonest ones that look like one, and `other`."""
    counts = Counter(each if _VERSION.fullmatch(each) else _OTHER for each in versions)
    others = counts.pop(_OTHER, 0)
    kept = dict(counts.most_common(MOST_VERSIONS))
    others += counts.total() - sum(kept.values())
    return {**kept, _OTHER: others} if others else kept


def count_overdue(supplies: Iterable[Supply], now: datetime) -> int:
    """Count what is needed and should have been issued a while ago."""
    return sum(bool(each.needed_by) and now - each.wanted_at(now) > OVERDUE for each in supplies)


def first_end(supplies: Iterable[Supply]) -> datetime | None:
    """Return the nearest true end of a session that somebody needs."""
    ends = [
        each.session.credentials.expires_at
        for each in supplies
        if each.session is not None and each.needed_by
    ]
    return min(ends, default=None)
