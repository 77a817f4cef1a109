"""In an outage the API server is asked now and then, not by everybody."""

from datetime import timedelta

from fakes.clock import START
from rolecall_server.kube.auth.circuit_breaker import LONGEST_PAUSE, PAUSE, CircuitBreaker
from rolecall_server.kube.auth.token_review import Unanswered

SECOND = timedelta(seconds=1)


def test_in_an_outage_one_question_is_asked_in_a_pause() -> None:
    """The API server says how long to leave it alone, and is believed up to half a minute."""
    breaker = CircuitBreaker()
    breaker.open(Unanswered(away=True, reason="503", retry_after=timedelta(seconds=7)), START)

    assert not breaker.allows(START + 6 * SECOND)
    assert breaker.allows(START + 7 * SECOND)
    assert not breaker.allows(START + 7 * SECOND)
    assert breaker.allows(START + 7 * SECOND + PAUSE)
    breaker.open(Unanswered(away=True, reason="503", retry_after=timedelta(days=1)), START)
    assert breaker.allows(START + LONGEST_PAUSE)
    breaker.close()
    assert breaker.allows(START)
