"""An outage of STS: few calls while it lasts, and all by urgency once it is over."""

from datetime import timedelta

import pytest

from fakes.engine import HOUR, NODE, Engine, at, pod
from rolecall_proto.values import Reason
from rolecall_server.model.issuer import (
    IssueError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from rolecall_server.model.source import PodChanged

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
DOWN = UnavailableError("no route")
RENEWALS, WAITING = 2000, 20


def role(number: int) -> str:
    return f"role-{number}"


def fail_for(engine: Engine, duration: timedelta) -> None:
    """Have STS answer nothing until *duration* has passed."""
    end = engine.now + duration
    while engine.now < end:
        engine.fail(DOWN)
        engine.advance_to_next()


def in_an_outage(minutes: float) -> Engine:
    """Return an engine with renewals that are due and pods that wait, after so many minutes."""
    engine = Engine()
    engine.list_pods(*(pod(f"p{n}", role(n)) for n in range(RENEWALS)))
    engine.connect()
    while len(engine.calls) < RENEWALS:
        engine.issue()
        engine.advance_to_next()
    engine.advance(HOUR / 2 - (engine.now - engine.now.replace(minute=0, second=0)))
    fail_for(engine, minutes / 2 * MINUTE)
    for n in range(WAITING):
        address = at(f"10.0.0.{n + 1}")
        engine.apply(PodChanged(pod(f"waits-{n}", f"waits-{n}", addresses=address)))
        engine.broker.resolve(NODE, address[0], engine.now)
    fail_for(engine, minutes / 2 * MINUTE)
    return engine


def test_a_dead_sts_is_asked_once_in_five_seconds() -> None:
    """Not once for each identity and back-off."""
    engine = in_an_outage(minutes=10)

    # Those that were on their way when it began, then one after another.
    assert len(engine.calls) - RENEWALS <= 300 + 10 * 60 / 4


def test_after_it_the_most_urgent_come_first_and_at_once() -> None:
    """Waiting pods are not kept behind thousands of renewals, nor by their own back-off."""
    engine = in_an_outage(minutes=10)
    back, before = engine.now, len(engine.calls)
    answered: dict[str, timedelta] = {}
    while len(answered) < RENEWALS + WAITING:
        for identity in engine.due():
            answered[identity.role_arn.rpartition("/")[2]] = engine.now - back
            engine.issue(identity)
        engine.advance_to_next()

    waiting = [answered[f"waits-{n}"] for n in range(WAITING)]
    assert max(waiting) <= 6 * SECOND
    assert len(engine.calls) - before == len(answered)
    # No stampede: a burst of 300, then what may be asked in a second.
    assert max(answered.values()) - min(answered.values()) > (RENEWALS - 300) / 100 * 0.9 * SECOND


def test_one_role_that_is_never_answered_is_no_outage() -> None:
    """It has its own back-off, and others have theirs."""
    engine = Engine()
    engine.list_pods(*(pod(f"p{n}", role(n)) for n in range(10)))
    engine.connect()
    (silent, *others) = engine.due()
    engine.issue(*others)
    for _ in range(20):
        engine.fail(DOWN, silent)
        engine.advance_to_next()
        assert [each.role_arn for each in engine.due()] == [silent.role_arn]
    engine.apply(PodChanged(pod("late", "late")))

    assert [each.role_arn.rpartition("/")[2] for each in engine.due()] == ["late"]


@pytest.mark.parametrize(
    "answer", [ThrottledError("slower"), RefusedError(Reason.ACCESS_DENIED, "no trust")]
)
def test_any_answer_ends_it(answer: IssueError) -> None:
    """Also a no: whoever says it is there."""
    engine = Engine()
    engine.list_pods(*(pod(f"p{n}", role(n)) for n in range(100)))
    engine.connect()
    fail_for(engine, MINUTE)
    (probe,) = engine.due()
    assert engine.due() == []
    engine.fail(answer, probe)
    engine.advance(2 * SECOND)

    assert len(engine.due()) > 90


def test_a_clock_that_is_set_back_does_not_put_it_off() -> None:
    """The hour that happens twice is no outage of an hour."""
    engine = Engine()
    engine.list_pods(*(pod(f"p{n}", role(n)) for n in range(100)))
    engine.connect()
    fail_for(engine, MINUTE)
    engine.now -= HOUR

    moment = engine.broker.next_moment(engine.now)
    assert moment is not None
    assert moment - engine.now <= 5 * SECOND
