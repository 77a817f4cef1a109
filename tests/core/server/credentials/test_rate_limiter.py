"""The limiter of STS calls: a burst, a rate, a cap in flight, and manners when throttled."""

from datetime import datetime, timedelta

import pytest

from fakes.clock import START
from rolecall_server.credentials.rate_limiter import RateLimiter, RateLimits

LIMITS = RateLimits(calls_per_second=100, burst=300, concurrency=1000)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def spend(limiter: RateLimiter, now: datetime) -> int:
    """Start all the calls that may start at *now*, complete them, and return how many they were."""
    count = 0
    while limiter.is_open(now):
        limiter.start()
        count += 1
    for _ in range(count):
        limiter.complete()
    return count


def test_a_burst_goes_out_at_once() -> None:
    """What was not used is there to be used."""
    assert spend(RateLimiter(LIMITS), START) == 300


def test_the_rate_holds_after_the_burst() -> None:
    """A hundred in each second, and never more than the burst."""
    limiter = RateLimiter(LIMITS)
    spend(limiter, START)

    assert spend(limiter, after(1)) == 100
    assert spend(limiter, after(3600)) == 300


def test_it_opens_when_it_says() -> None:
    """The moment it names is neither too early nor a whole call too late."""
    limiter = RateLimiter(LIMITS)
    spend(limiter, START)
    opens = limiter.opens_at(START)

    assert opens is not None
    assert timedelta(milliseconds=9) < opens - START < timedelta(milliseconds=11)
    assert limiter.is_open(opens)


def test_calls_in_flight_are_capped() -> None:
    """At the cap only the end of a call opens it again, not time."""
    limiter = RateLimiter(RateLimits(concurrency=2))
    limiter.start()
    limiter.start()
    assert not limiter.is_open(START)
    assert limiter.opens_at(START) is None
    limiter.complete()

    assert limiter.opens_at(START) == START


def test_throttling_halves_the_rate() -> None:
    """And nothing goes at once, whatever was saved up."""
    limiter = RateLimiter(LIMITS)
    limiter.throttle(START)

    assert limiter.calls_per_second == 50
    assert spend(limiter, START) == 0
    assert spend(limiter, after(1)) in {50, 51}


def test_a_burst_of_refusals_halves_once() -> None:
    """All calls in flight are refused together; that is one message."""
    limiter = RateLimiter(LIMITS)
    for millisecond in range(500):
        limiter.throttle(after(millisecond / 1000))

    assert 50 <= limiter.calls_per_second < 51


def test_it_recovers_within_a_minute() -> None:
    """In a straight line, so that the level that STS bears is approached gently."""
    limiter = RateLimiter(LIMITS)
    limiter.throttle(START)
    halfway = after(15)
    limiter.is_open(halfway)
    assert limiter.calls_per_second == pytest.approx(75)
    limiter.is_open(after(30))

    assert limiter.calls_per_second == 100


def test_it_never_closes_altogether() -> None:
    """However often STS throttles, one call in a second asks again."""
    limiter = RateLimiter(LIMITS)
    for second in range(0, 100, 1):
        limiter.throttle(after(second))

    assert limiter.calls_per_second >= 1
    opens = limiter.opens_at(after(100))
    assert opens is not None
    assert opens <= after(101.1)


def test_a_clock_set_back_does_not_close_it() -> None:
    """The hour that happens twice is not a pause of an hour."""
    limiter = RateLimiter(LIMITS)
    spend(limiter, after(3600))
    spend(limiter, START)

    assert spend(limiter, after(1)) == 100


def test_impossible_limits_are_refused() -> None:
    """A limiter that never opens is a mistake, not a setting."""
    with pytest.raises(ValueError, match="positive"):
        RateLimiter(RateLimits(calls_per_second=0))
