"""When STS is asked again, by the kind of error (contract §7)."""

import itertools
import random
from datetime import timedelta

import pytest

from fakes.clock import START
from rolecall_proto.values import Reason
from rolecall_server.credentials.retry import Failure, failure_after
from rolecall_server.model.issuer import IssueError, RefusedError, ThrottledError, UnavailableError

REFUSED = RefusedError(Reason.ACCESS_DENIED, "the role does not trust us")
DICE = random.Random(1)  # noqa: S311 (dice, not keys)


def waits(error: IssueError, times: int) -> list[float]:
    """Return how long is waited after each of *times* failures in a row, in seconds."""
    now, last, found = START, None, []
    for _ in range(times):
        last = failure_after(last, error, now, DICE)
        found.append((last.retry_at - now).total_seconds())
        now = last.retry_at
    return found


def test_a_refused_role_is_asked_for_more_and_more_seldom() -> None:
    """Soon at first, for a role may be seconds old; every ten minutes in the end."""
    assert waits(REFUSED, 10) == [2, 5, 10, 30, 60, 120, 240, 480, 600, 600]


def test_an_unreachable_sts_is_asked_again_quickly_but_not_in_step() -> None:
    """From a fifth of a second, doubling to half a minute, each shortened by a fifth at most."""
    for wait, whole in zip(
        waits(UnavailableError("no route"), 10),
        [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30],
        strict=True,
    ):
        assert whole * 0.8 <= wait <= whole


def test_what_is_throttled_again_and_again_makes_room_for_others() -> None:
    """It backs off by itself, besides the rates; what was known of it stands."""
    refused = failure_after(None, REFUSED, START, DICE)
    throttled, waits = refused, []
    for _ in range(10):
        throttled = failure_after(throttled, ThrottledError("slower"), START, DICE)
        waits.append((throttled.retry_at - START).total_seconds())

    assert (throttled.reason, throttled.in_a_row) == (refused.reason, refused.in_a_row)
    assert 0.4 <= waits[0] <= 0.5
    assert all(later > sooner for sooner, later in itertools.pairwise(waits[:6]))
    assert 24 <= waits[-1] <= 30


def test_another_kind_of_error_begins_anew() -> None:
    """A refusal after an outage is a first refusal."""
    last: Failure | None = None
    for _ in range(5):
        last = failure_after(last, UnavailableError("no route"), START, DICE)

    assert failure_after(last, REFUSED, START, DICE).retry_at == START + timedelta(seconds=2)


def test_a_new_pod_pulls_a_refused_role_forward() -> None:
    """Somebody may have mended the role, so the next call comes in seconds, not minutes."""
    last: Failure | None = None
    for _ in range(9):
        last = failure_after(last, REFUSED, START, DICE)
    assert last is not None

    later = START + timedelta(seconds=100)
    assert last.pulled_forward(later).retry_at == later


def test_a_burst_of_new_pods_pulls_no_closer_than_five_seconds() -> None:
    """A crash loop is one call in five seconds at most."""
    last: Failure | None = None
    for _ in range(9):
        last = failure_after(last, REFUSED, START, DICE)
    assert last is not None

    pulled = last.pulled_forward(START + timedelta(seconds=1))
    assert pulled.retry_at == START + timedelta(seconds=5)
    assert pulled.pulled_forward(START + timedelta(seconds=2)) == pulled


@pytest.mark.parametrize("error", [UnavailableError("no route"), REFUSED])
def test_a_new_pod_postpones_nothing(error: IssueError) -> None:
    """What is asked again sooner anyway is left as it is."""
    first = failure_after(None, error, START, DICE)

    assert first.pulled_forward(START) == first
