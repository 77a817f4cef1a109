"""What becomes of STS's answers: of a refusal, of an outage, of credentials that have ended."""

from datetime import timedelta

import pytest

from fakes.clock import START
from fakes.engine import HOUR, NODE, Engine, assignments, at, pod
from rolecall_proto.values import Reason, Resolution, State
from rolecall_server.credentials.store import SessionRules
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import RefusedError, UnavailableError
from rolecall_server.model.source import PodChanged

REFUSED = RefusedError(Reason.ACCESS_DENIED, "the role does not trust us")
DOWN = UnavailableError("no route")
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def test_a_refused_role_is_told_at_once_and_asked_for_again() -> None:
    """The pods get the reason; the first retry comes after two seconds."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.fail(REFUSED)

    told = assignments(agent.receive(engine.now))["a"]
    assert (told.state, told.reason) == (State.FAILED, Reason.ACCESS_DENIED)
    assert engine.broker.next_moment(engine.now) == engine.now + 2 * SECOND
    engine.advance_to_next()
    engine.issue()
    assert assignments(agent.receive(engine.now))["a"].state is State.GRANTED


def test_a_burst_of_pods_with_a_refused_role_is_one_call() -> None:
    """And at most one in five seconds, however long it goes on."""
    engine = Engine()
    engine.connect()
    for n in range(1000):
        engine.apply(PodChanged(pod(f"p{n}", "reader")))
        engine.fail(REFUSED)
        engine.advance(SECOND / 20)

    # After 0, 2 and 7 seconds; from then on a new pod pulls the next call to 5 seconds.
    assert len(engine.calls) <= 3 + 43 / 5 + 1


def test_a_refused_renewal_keeps_what_is_held() -> None:
    """To its true end; then the pods are told why."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.issue()
    agent.receive(engine.now)
    end = engine.now + HOUR
    while engine.now < end:
        engine.advance_to_next()
        engine.fail(REFUSED)
        if engine.now < end:
            assert agent.receive(engine.now) == []

    told = assignments(agent.receive(engine.now))["a"]
    assert engine.now == end
    assert (told.state, told.reason) == (State.FAILED, Reason.ACCESS_DENIED)


def test_an_unreachable_sts_keeps_pods_waiting() -> None:
    """Nobody is refused because of an outage, and nothing held is taken away."""
    engine = Engine()
    engine.list_pods(pod("old", "reader"))
    agent = engine.connect()
    engine.issue()
    engine.apply(PodChanged(pod("new", "writer")))
    agent.receive(engine.now)
    for _ in range(20):
        engine.fail(DOWN)
        engine.advance_to_next()

    told = assignments(agent.updates + agent.receive(engine.now))
    assert told["old"].state is State.GRANTED
    assert (told["new"].state, told["new"].reason) == (State.PENDING, Reason.STS_UNREACHABLE)


def test_after_an_outage_the_most_urgent_comes_first() -> None:
    """A pod that waits, a new pod, then what ends first."""
    engine = Engine()
    engine.list_pods(pod("late", "late"))
    engine.connect()
    engine.issue()
    engine.advance(MINUTE)
    engine.apply(PodChanged(pod("later", "later")))
    engine.issue()
    engine.advance(HOUR / 2)
    engine.apply(PodChanged(pod("new", "new")))
    engine.apply(PodChanged(pod("waits", "waits", addresses=at("10.0.0.9"))))
    assert engine.broker.resolve(NODE, at("10.0.0.9")[0], engine.now) is Resolution.KNOWN

    order = [each.role_arn.rpartition("/")[2] for each in engine.due()]
    assert order == ["waits", "new", "late", "later"]


@pytest.mark.parametrize("life", [-HOUR, timedelta(), timedelta(seconds=3), 7 * MINUTE])
def test_credentials_that_end_implausibly_early_count_as_no_answer(life: timedelta) -> None:
    """A wrong clock somewhere is no reason to ask STS without pause."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    for _ in range(10):
        engine.issue(life=life)
        engine.advance_to_next()

    assert assignments(agent.receive(engine.now))["a"].reason is Reason.STS_UNREACHABLE
    assert engine.now - START > MINUTE / 2
    engine.issue(life=8 * MINUTE)
    assert assignments(agent.receive(engine.now))["a"].state is State.GRANTED


def test_short_sessions_are_taken_where_they_are_allowed() -> None:
    """Whoever allows them knows; what has ended already is taken nowhere."""
    rules = SessionRules(timedelta(), allow_short=True)
    identity = Identity("arn:aws:iam::111122223333:role/reader", "team.app", HOUR)

    assert rules.is_plausible(3 * SECOND, identity)
    assert not rules.is_plausible(timedelta(), identity)
