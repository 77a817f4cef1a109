"""The budget of STS calls: a burst, a rate, a cap in flight, and manners when throttled."""

from datetime import datetime, timedelta

import pytest

from fakes.clock import START
from rolecall_server.credentials.rate_limiter import Budget, BudgetRules

RULES = BudgetRules(calls_per_second=100, burst=300, concurrency=1000)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def spend(budget: Budget, now: datetime) -> int:
    """Start all the calls that may start at *now*, land them, and return how many they were."""
    count = 0
    while budget.is_open(now):
        budget.start()
        count += 1
    for _ in range(count):
        budget.land()
    return count


def test_a_burst_goes_out_at_once() -> None:
    """What was not used is there to be used."""
    assert spend(Budget(RULES), START) == 300


def test_the_rate_holds_after_the_burst() -> None:
    """A hundred in each second, and never more than the burst."""
    budget = Budget(RULES)
    spend(budget, START)

    assert spend(budget, after(1)) == 100
    assert spend(budget, after(3600)) == 300


def test_it_opens_when_it_says() -> None:
    """The moment it names is neither too early nor a whole call too late."""
    budget = Budget(RULES)
    spend(budget, START)
    opens = budget.opens_at(START)

    assert opens is not None
    assert timedelta(milliseconds=9) < opens - START < timedelta(milliseconds=11)
    assert budget.is_open(opens)


def test_calls_in_flight_are_capped() -> None:
    """At the cap only a landing opens it again, not time."""
    budget = Budget(BudgetRules(concurrency=2))
    budget.start()
    budget.start()
    assert not budget.is_open(START)
    assert budget.opens_at(START) is None
    budget.land()

    assert budget.opens_at(START) == START


def test_throttling_halves_the_rate() -> None:
    """And nothing goes at once, whatever was saved up."""
    budget = Budget(RULES)
    budget.throttle(START)

    assert budget.calls_per_second == 50
    assert spend(budget, START) == 0
    assert spend(budget, after(1)) in {50, 51}


def test_a_burst_of_refusals_halves_once() -> None:
    """All calls in flight are refused together; that is one message."""
    budget = Budget(RULES)
    for millisecond in range(500):
        budget.throttle(after(millisecond / 1000))

    assert 50 <= budget.calls_per_second < 51


def test_it_recovers_within_a_minute() -> None:
    """In a straight line, so that the level that STS bears is approached gently."""
    budget = Budget(RULES)
    budget.throttle(START)
    halfway = after(15)
    budget.is_open(halfway)
    assert budget.calls_per_second == pytest.approx(75)
    budget.is_open(after(30))

    assert budget.calls_per_second == 100


def test_it_never_closes_altogether() -> None:
    """However often STS throttles, one call in a second asks again."""
    budget = Budget(RULES)
    for second in range(0, 100, 1):
        budget.throttle(after(second))

    assert budget.calls_per_second >= 1
    opens = budget.opens_at(after(100))
    assert opens is not None
    assert opens <= after(101.1)


def test_a_clock_set_back_does_not_close_it() -> None:
    """The hour that happens twice is not a pause of an hour."""
    budget = Budget(RULES)
    spend(budget, after(3600))
    spend(budget, START)

    assert spend(budget, after(1)) == 100


def test_impossible_limits_are_refused() -> None:
    """A budget that never opens is a mistake, not a setting."""
    with pytest.raises(ValueError, match="positive"):
        Budget(BudgetRules(calls_per_second=0))
