"""When a pod last started, as its kubelet has posted it."""

from datetime import UTC, datetime

import msgspec
import pytest

from rolecall_server.model import kube_objects
from rolecall_server.model.starts import posts_sandbox, started_at

READY = "PodReadyToStartContainers"
NOON = datetime(2026, 12, 1, 12, 0, 0, tzinfo=UTC)


def status(**fields: object) -> kube_objects.PodStatus:
    return msgspec.json.decode(msgspec.json.encode(fields), type=kube_objects.PodStatus)


def condition(time: object, value: str = "True", kind: str = READY) -> dict[str, object]:
    return {"type": kind, "status": value, "lastTransitionTime": time}


def test_a_sandbox_that_is_ready_is_a_start() -> None:
    """As of the moment at which it became so."""
    assert started_at(status(conditions=[condition("2026-12-01T12:00:00Z")])) == NOON


def test_a_sandbox_that_is_gone_is_none() -> None:
    """The time is that of its end then; and other conditions are about other things."""
    later = "2026-12-01T13:00:00Z"
    others = [condition(later, "False"), condition(later, kind="Ready")]

    assert started_at(status(conditions=others)) is None


@pytest.mark.parametrize(
    "kind", ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"]
)
@pytest.mark.parametrize("which", ["state", "lastState"])
@pytest.mark.parametrize("how", ["running", "terminated"])
def test_the_start_of_each_container_counts(kind: str, which: str, how: str) -> None:
    """Also of one that has ended since: it had its sandbox when it began."""
    container = {which: {how: {"startedAt": "2026-12-01T12:00:00Z", "finishedAt": "2027-01-01"}}}

    assert started_at(status(**{kind: [{}, container]})) == NOON


def test_the_latest_start_counts() -> None:
    """Whatever it is of."""
    early, late = "2026-12-01T11:59:59Z", "2026-12-01T14:00:00+02:00"
    found = status(
        conditions=[condition(early)],
        containerStatuses=[{"state": {"running": {"startedAt": late}}}],
    )

    assert started_at(found) == NOON


@pytest.mark.parametrize(
    "time", [None, "", "soon", "2026-12-01T12:00:00", 5, "2026-12-01T25:00:00Z"]
)
def test_what_is_no_time_is_no_start(time: object) -> None:
    """Nothing proves less than a wrong time; and none ends a loop."""
    assert started_at(status(conditions=[condition(time)])) is None


def test_a_kubelet_that_tells_of_no_sandbox_is_known() -> None:
    """By whether the condition is there, whatever it says."""
    assert posts_sandbox(status(conditions=[condition(None, "False")]))
    assert not posts_sandbox(status(conditions=[condition(None, kind="Ready")]))
    assert not posts_sandbox(status())
