"""What an agent says it holds already, and how far it is believed."""

from datetime import timedelta

from fakes.clock import START
from rolecall_proto.values import Held, SessionId
from rolecall_server.model.identity import Identity
from rolecall_server.nodes.held_sessions import HeldSessions

HOUR = timedelta(hours=1)
READER = Identity("arn:aws:iam::111122223333:role/reader", "team.app", HOUR)


def held(after: timedelta, session_id: SessionId = READER.session_id) -> Held:
    return Held(session_id, START + after)


def test_what_is_held_is_believed_to_its_end() -> None:
    """An agent that reconnects need not be sent what it has."""
    assert HeldSessions([held(HOUR / 2)], START).until(READER) == START + HOUR / 2


def test_nothing_is_believed_longer_than_a_session_lasts() -> None:
    """A lie of a year leaves the liar alone for an hour."""
    assert HeldSessions([held(HOUR * 8760)], START).until(READER) == START + HOUR


def test_what_has_ended_is_not_held() -> None:
    """Nor is one for another session."""
    assert HeldSessions([held(timedelta())], START).until(READER) is None
    assert HeldSessions([held(HOUR, SessionId("another"))], START).until(READER) is None


def test_of_two_ends_the_earlier_counts() -> None:
    """In whatever order they come."""
    early, late = held(HOUR / 4), held(HOUR / 2)

    assert HeldSessions([early, late], START).until(READER) == early.expires_at
    assert HeldSessions([late, early], START).until(READER) == early.expires_at
