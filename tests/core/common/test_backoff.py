"""Waits double, are capped, and never agree between two that failed together."""

import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from rolecall_common.backoff import Backoff

SECOND = timedelta(seconds=1)


def test_waits_double_up_to_the_longest() -> None:
    """Without jitter the series is exact."""
    backoff = Backoff(SECOND, 5 * SECOND, jitter=0)
    dice = random.Random(1)  # noqa: S311 - dice, not keys

    waits = [backoff.delay(failures, dice) for failures in range(1, 6)]

    assert waits == [SECOND, 2 * SECOND, 4 * SECOND, 5 * SECOND, 5 * SECOND]


@given(st.integers(), st.integers())
def test_a_wait_is_never_longer_than_the_longest_nor_shorter_than_jitter_allows(
    failures: int, seed: int
) -> None:
    """However often it failed: a year of failures does not overflow."""
    wait = Backoff(SECOND, 30 * SECOND).delay(failures, random.Random(seed))  # noqa: S311 - dice

    assert 0.8 * SECOND <= wait <= 30 * SECOND


def test_two_that_failed_together_come_back_apart() -> None:
    """Jitter parts a fleet."""
    backoff = Backoff(SECOND, 30 * SECOND)

    assert len({backoff.delay(3, random.Random(seed)) for seed in range(20)}) == 20  # noqa: S311 - dice
