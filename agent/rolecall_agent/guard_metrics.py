"""What the warden beside this agent says of its guards, as metrics: it has no listener."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from prometheus_client.metrics_core import Metric as Family

from rolecall_common import heartbeat_file
from rolecall_common.guards import Endpoint, Guard
from rolecall_common.heartbeat_file import Condition, Health, Heartbeat
from rolecall_common.metrics import UNKNOWN, Kind, Label, Metric, counter_family, gauge_family

_ENDPOINT = Label("endpoint", tuple(Endpoint))

GUARD_RULES_IN_PLACE = Metric(
    "rolecall_guard_rules_in_place",
    Kind.GAUGE,
    "Whether the warden has just said that its rules are in place: 0 also where it is gone, hangs, "
    "or waits, and where another warden has the node. NaN without a warden.",
)
GUARD_REPAIRS = Metric(
    "rolecall_guard_repairs_total",
    Kind.COUNTER,
    "How often the warden found its rules changed or gone, and put them back.",
)
GUARD_LAST_CHECK = Metric(
    "rolecall_guard_last_check_timestamp_seconds",
    Kind.GAUGE,
    "When the warden last looked at its rules, as Unix time; NaN before the first time.",
)
GUARD_DROPPED = Metric(
    "rolecall_guard_dropped_packets_total",
    Kind.COUNTER,
    "Packets that the warden's guards have dropped, by the guard. It is in no log which pod's.",
    (Label("guard", tuple(Guard)),),
)
GUARD_LOST = Metric(
    "rolecall_guard_lost_packets_total",
    Kind.COUNTER,
    "Packets that open connections of pods to an endpoint, and answers to them, that rules of "
    "somebody else have dropped on this node.",
    (_ENDPOINT,),
)
GUARD_BLOCKED = Metric(
    "rolecall_guard_endpoint_blocked",
    Kind.GAUGE,
    "Whether rules of somebody else keep pods from an endpoint, as far as pods have asked there.",
    (_ENDPOINT,),
)
METRICS = (
    GUARD_RULES_IN_PLACE,
    GUARD_REPAIRS,
    GUARD_LAST_CHECK,
    GUARD_DROPPED,
    GUARD_LOST,
    GUARD_BLOCKED,
)

_WITH_RULES = (Condition.IN_PLACE, Condition.BLOCKED)


def read(warden_file: Path | None, now: datetime) -> Iterator[Family]:
    """Yield every metric of METRICS, as the warden's stamp says it."""
    if warden_file is None:
        yield from families(None, now, 0.0)
    else:
        yield from families(heartbeat_file.read(warden_file), now, time.monotonic())


def families(health: Health | None, now: datetime, monotonic: float) -> Iterator[Family]:
    """Yield every metric of METRICS; *monotonic* is the same moment as *now*."""
    said = health.heartbeat if health is not None else None
    current = said if health is not None and health.current else None
    in_place = current is not None and current.condition in _WITH_RULES
    yield gauge_family(GUARD_RULES_IN_PLACE, {(): UNKNOWN if health is None else in_place})
    yield counter_family(GUARD_REPAIRS, {(): said.repairs if said else 0})
    yield gauge_family(GUARD_LAST_CHECK, {(): _unix_time(said, now, monotonic)})
    yield counter_family(
        GUARD_DROPPED, {(each,): said.dropped.get(each, 0) if said else 0 for each in Guard}
    )
    yield counter_family(
        GUARD_LOST, {(each,): said.lost.get(each, 0) if said else 0 for each in Endpoint}
    )
    blocked = current.blocked if current else ()
    yield gauge_family(GUARD_BLOCKED, {(each,): each in blocked for each in Endpoint})


def _unix_time(heartbeat: Heartbeat | None, now: datetime, monotonic: float) -> float:
    return UNKNOWN if heartbeat is None else now.timestamp() - (monotonic - heartbeat.at)
