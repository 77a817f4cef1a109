"""What an agent says it holds already, and how far it is believed."""

from datetime import timedelta

from fakes.clock import START
from rolecall_proto.values import Held, SessionId
from rolecall_server.model.identity import Identity
from rolecall_server.nodes.held_sessions import Claims

HOUR = timedelta(hours=1)
READER = Identity("arn:aws:iam::111122223333:role/reader", "team.app", HOUR)


def claim(after: timedelta, session_id: SessionId = READER.session_id) -> Held:
    return Held(session_id, START + after)


def test_a_claim_is_believed_to_its_end() -> None:
    """An agent that reconnects need not be sent what it has."""
    assert Claims([claim(HOUR / 2)], START).end(READER) == START + HOUR / 2


def test_no_claim_is_believed_longer_than_a_session_lasts() -> None:
    """A claim of a year leaves the liar alone for an hour."""
    assert Claims([claim(HOUR * 8760)], START).end(READER) == START + HOUR


def test_an_ended_claim_is_none() -> None:
    """Nor is one for another session."""
    assert Claims([claim(timedelta())], START).end(READER) is None
    assert Claims([claim(HOUR, SessionId("another"))], START).end(READER) is None


def test_of_two_claims_the_earlier_counts() -> None:
    """In whatever order they come."""
    early, late = claim(HOUR / 4), claim(HOUR / 2)

    assert Claims([early, late], START).end(READER) == early.expires_at
    assert Claims([late, early], START).end(READER) == early.expires_at
