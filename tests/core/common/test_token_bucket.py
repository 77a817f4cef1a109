"""A token bucket gives so much at once, and then so much in a second, whatever the clock does."""

from datetime import timedelta

from fakes.clock import START
from rolecall_common.token_bucket import TokenBucket

SECOND = timedelta(seconds=1)


def empty() -> TokenBucket:
    bucket = TokenBucket(burst=5, per_second=2)
    assert bucket.take(5, START)
    return bucket


def test_it_is_full_at_first_and_fills_again() -> None:
    """To the brim and no further."""
    bucket = empty()

    assert not bucket.take(1, START)
    assert bucket.take(2, START + SECOND)
    assert not bucket.take(1, START + SECOND)
    assert not bucket.take(6, START + timedelta(hours=1))
    assert bucket.take(5, START + timedelta(hours=1))


def test_what_is_refused_takes_nothing() -> None:
    """Whoever asks for too much keeps nobody from asking for less."""
    bucket = TokenBucket(burst=5, per_second=2)

    assert not bucket.take(6, START)
    assert bucket.take(5, START)


def test_parts_of_a_token_add_up() -> None:
    """Whoever asks often waits no longer."""
    bucket = empty()
    asked = [bucket.take(1, START + number * SECOND / 8) for number in range(1, 9)]

    assert asked.count(True) == 2


def test_a_clock_that_is_set_back_adds_nothing_and_takes_nothing_away() -> None:
    """It fills from then on, and does not wait until the clock has caught up."""
    bucket = empty()
    before = START - timedelta(hours=1)

    assert not bucket.take(1, before)
    assert bucket.take(2, before + SECOND)
    assert not bucket.take(1, before + SECOND)
