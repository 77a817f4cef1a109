"""How fast STS is asked: in all, and in each account by itself."""

from datetime import datetime, timedelta

from fakes.clock import START
from rolecall_server.credentials.call_rates import CallRates, Scope
from rolecall_server.credentials.rate_limiter import RateLimits

LIMITS = RateLimits(calls_per_second=100, burst=300, concurrency=1000)
OURS, THEIRS = Scope("111122223333", "eu-west-1"), Scope("444455556666", "eu-west-1")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_an_account_that_is_throttled_slows_no_other() -> None:
    """Its own calls wait, and it alone is asked more slowly."""
    rates = CallRates(LIMITS)
    rates.throttle(THEIRS, START)
    is_open = rates.open_scopes(START)

    assert (is_open(OURS), is_open(THEIRS)) == (True, False)
    assert rates.scope_opens_at(OURS, START) == START
    assert START < rates.scope_opens_at(THEIRS, START) < after(0.1)
    assert (rates.calls_per_second, rates.slowed) == (100, 1)


def test_a_region_is_counted_by_itself() -> None:
    """STS has its limits in each."""
    rates = CallRates(LIMITS)
    rates.throttle(OURS, START)

    assert rates.open_scopes(START)(OURS._replace(region="us-east-1"))


def test_an_account_recovers_and_is_forgotten() -> None:
    """No trace is left of accounts that were throttled once."""
    rates = CallRates(LIMITS)
    rates.throttle(THEIRS, START)

    assert rates.open_scopes(after(120))(THEIRS)
    assert rates.slowed == 0


def test_where_many_accounts_are_throttled_all_are_asked_more_slowly() -> None:
    """It is the limit of the server's own account, which none of them can tell by itself."""
    rates = CallRates(LIMITS)
    for n in range(50):
        rates.throttle(Scope(f"{n:012}", "eu-west-1"), after(n / 100))

    assert rates.calls_per_second <= 51


def test_two_accounts_at_their_limits_among_many_calls_slow_no_other() -> None:
    """Less than a fifth of all answers: it is their own."""
    rates = CallRates(LIMITS)
    for n in range(50):
        rates.succeed(after(n / 50))
    rates.throttle(OURS, after(1))
    rates.throttle(THEIRS, after(1))

    assert rates.calls_per_second == 100


def test_what_was_answered_long_ago_does_not_count() -> None:
    """Nor where the clock has been set back."""
    rates = CallRates(LIMITS)
    for n in range(1000):
        rates.succeed(after(n / 1000 - 10))
    for moment in (START, after(-3600)):
        rates.throttle(OURS, moment)
        rates.throttle(THEIRS, moment)

    assert rates.calls_per_second < 51
