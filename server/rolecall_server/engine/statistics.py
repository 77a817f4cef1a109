"""How the engine stands at one moment, counted for metrics."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolecall_proto.values import Reason, State
from rolecall_server.credentials.identity_state import IdentityState
from rolecall_server.credentials.store import CredentialStore
from rolecall_server.engine.index import Index
from rolecall_server.engine.reconciler import Reconciler
from rolecall_server.nodes.subscription import Subscriptions


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
    held_restored: int  # Sessions that agents said they hold already, ever.
    due: int  # Identities that may be issued as soon as the rate limiter allows.
    overdue: int  # Of all needed: due for more than a minute and not issued.
    in_flight: int
    calls_per_second: float  # What may be made at the moment, in all.
    sts_answers: bool
    accounts_slowed: int  # Where STS has throttled calls, and is asked more slowly.
    quarantined: int
    bugs: int  # Caught at the boundary around one object, ever.
    watch_fresh: bool


# What has been due for longer is late, whatever holds it up: rate limiter, back-off or a bug.
OVERDUE = timedelta(minutes=1)

# A version is the agent's own word: one that lies must not make a series of each of its lies.
MOST_VERSIONS = 16  # More than one cluster ever runs.
_VERSION = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}[-+.\w]{0,17}", re.ASCII)
_OTHER = "other"

# Decisions of the policy that a change of the cluster may still turn into an answer.
_PENDING = frozenset({Reason.NAMESPACE_UNKNOWN})


def statistics_of(
    index: Index,
    store: CredentialStore,
    subscriptions: Subscriptions,
    reconciler: Reconciler,
    now: datetime,
) -> Statistics:
    """Count what there is at *now*."""
    states = list(store.states.values())
    versions = (each.version for some in subscriptions.values() for each in some)
    return Statistics(
        pods=len(index),
        namespaces=len(index.namespaces),
        assigned=pods_by_state(index.reasons, states),
        sessions=sum(each.session is not None for each in states),
        sessions_idle=sum(each.session is not None and not each.needed_by for each in states),
        first_end=first_end(states),
        nodes=by_version(versions),
        held_restored=store.held_sessions_restored,
        due=store.planner.queue.count_ready(now),
        overdue=count_overdue(states, now),
        in_flight=store.planner.rates.in_flight,
        calls_per_second=store.planner.rates.calls_per_second,
        sts_answers=not store.planner.breaker.is_open,
        accounts_slowed=store.planner.rates.slowed,
        quarantined=len(reconciler.quarantine),
        bugs=reconciler.quarantine.bugs,
        watch_fresh=reconciler.watch_fresh,
    )


def pods_by_state(
    reasons: Mapping[Reason, int], states: Iterable[IdentityState]
) -> Mapping[tuple[State, Reason | None], int]:
    """Count pods by what they get: those without a role by *reasons*, the entitled by *states*."""
    counts: Counter[tuple[State, Reason | None]] = Counter()
    for reason, count in reasons.items():
        if count:
            counts[State.PENDING if reason in _PENDING else State.DENIED, reason] += count
    for state in states:
        session_id = state.identity.session_id
        for subscription in state.needed_by:
            counts[state.status(subscription)] += len(subscription.users[session_id])
    return counts


def by_version(versions: Iterable[str]) -> Mapping[str, int]:
    """Count agents by the version they say: the commonest ones that look like one, and `other`."""
    counts = Counter(each if _VERSION.fullmatch(each) else _OTHER for each in versions)
    others = counts.pop(_OTHER, 0)
    kept = dict(counts.most_common(MOST_VERSIONS))
    others += counts.total() - sum(kept.values())
    return {**kept, _OTHER: others} if others else kept


def count_overdue(states: Iterable[IdentityState], now: datetime) -> int:
    """Count what is needed and should have been issued a while ago."""
    return sum(bool(each.needed_by) and now - each.wanted_at(now) > OVERDUE for each in states)


def first_end(states: Iterable[IdentityState]) -> datetime | None:
    """Return the nearest true end of a session that somebody needs."""
    ends = [
        each.session.credentials.expires_at
        for each in states
        if each.session is not None and each.needed_by
    ]
    return min(ends, default=None)
