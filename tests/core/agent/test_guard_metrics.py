"""What the warden's stamp says is told by the agent, and nothing that was true long ago."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rolecall_agent import guard_metrics
from rolecall_common.guards import Endpoint, Guard
from rolecall_common.heartbeat_file import Condition, Health, Heartbeat, hold

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PREFIX = "rolecall_guard_"


def heartbeat(condition: Condition = Condition.IN_PLACE) -> Heartbeat:
    return Heartbeat(
        100.0,
        10.0,
        condition,
        repairs=4,
        dropped={Guard.FORGED: 7},
        lost={Endpoint.METADATA: 3},
        blocked=(Endpoint.METADATA,) if condition is Condition.BLOCKED else (),
    )


def told(health: Health | None) -> dict[tuple[str, str], float]:
    """Return the metrics, at the monotonic clock's 103 s, by name and label."""
    return {
        (sample.name.removeprefix(PREFIX), next(iter(sample.labels.values()), "")): sample.value
        for family in guard_metrics.families(health, NOW, 103.0)
        for sample in family.samples
    }


def test_a_warden_that_is_well_is_told_as_it_says() -> None:
    """Rules, repairs, the last check, and what each guard has dropped."""
    said = told(Health(ok=True, heartbeat=heartbeat(), current=True))

    assert said["rules_in_place", ""] == 1
    assert said["repairs_total", ""] == 4
    assert said["last_check_timestamp_seconds", ""] == NOW.timestamp() - 3
    assert said["dropped_packets_total", Guard.FORGED] == 7
    assert said["dropped_packets_total", Guard.RATE] == 0
    assert said["lost_packets_total", Endpoint.METADATA] == 3
    assert said["endpoint_blocked", Endpoint.METADATA] == 0


def test_a_blocked_endpoint_has_its_rules_all_the_same() -> None:
    """It is somebody else's rules that keep pods out, and another alert."""
    blocked = heartbeat(Condition.BLOCKED)
    said = told(Health(ok=False, heartbeat=blocked, current=True))

    assert said["rules_in_place", ""] == 1
    assert said["endpoint_blocked", Endpoint.METADATA] == 1
    assert said["endpoint_blocked", Endpoint.CONTAINER] == 0


@pytest.mark.parametrize("condition", Condition)
def test_an_old_stamp_says_nothing_of_now(condition: Condition) -> None:
    """The rules count as gone until a warden says again that they are there."""
    said = told(Health(ok=False, heartbeat=heartbeat(condition)))

    assert said["rules_in_place", ""] == 0
    assert said["endpoint_blocked", Endpoint.METADATA] == 0
    assert said["last_check_timestamp_seconds", ""] == NOW.timestamp() - 3


def test_a_warden_that_has_never_been_heard_has_no_rules() -> None:
    """An agent that was told of a warden and has none is one that pods are not kept from."""
    said = told(Health(ok=False))

    assert said["rules_in_place", ""] == 0
    assert math.isnan(said["last_check_timestamp_seconds", ""])


def test_without_a_warden_nothing_is_known() -> None:
    """Whoever runs none is not alarmed for it."""
    assert math.isnan(told(None)["rules_in_place", ""])


def test_the_file_is_read_at_each_scrape(tmp_path: Path) -> None:
    """What a warden writes is told, until it ends."""
    path = tmp_path / "warden"
    with hold(path) as file:
        file.write(heartbeat())
        during = [each.samples[0].value for each in guard_metrics.read(path, NOW)]
    after = [each.samples[0].value for each in guard_metrics.read(path, NOW)]

    assert (during[1], after[0], after[1]) == (4, 0, 4)
