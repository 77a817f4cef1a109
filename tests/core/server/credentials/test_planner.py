"""When STS is asked: renewals in time, one call for an identity, nothing that nobody needs."""

from datetime import timedelta

from fakes.engine import HOUR, NODE, Engine, assignments, at, pod, sessions
from rolecall_proto.values import PodUid, State
from rolecall_server.model.source import PodChanged, PodGone

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def test_a_session_is_renewed_at_40_to_48_percent_of_its_life() -> None:
    """Early enough that half an hour without STS is no outage, and not all at one time."""
    engine = Engine()
    engine.list_pods(*(pod(f"p{n}", f"role-{n}") for n in range(100)))
    agent = engine.connect()
    engine.issue()
    moments: list[float] = []
    start = engine.now
    while len(moments) < 100:
        engine.advance_to_next()
        moments += [(engine.now - start) / HOUR for _ in engine.due()]

    assert 0.40 <= min(moments) < 0.42
    assert 0.46 < max(moments) <= 0.48
    assert agent.receive(engine.now)


def test_a_renewal_travels_once_per_node() -> None:
    """And the assignments, which have not changed, not at all."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"), pod("b", "reader"))
    agent = engine.connect()
    engine.issue()
    agent.receive(engine.now)
    engine.advance_to_next()
    engine.issue()

    updates = agent.receive(engine.now)
    assert len(updates) == 1
    assert sessions(updates)[0].session.credentials.expires_at == engine.now + HOUR


def test_a_thousand_that_fall_due_together_are_all_renewed() -> None:
    """One call each, within the rate, all long before their end."""
    engine = Engine()
    engine.list_pods(*(pod(f"p{n}", f"role-{n}") for n in range(1000)))
    engine.connect()
    engine.issue()
    while len(engine.calls) < 1000:
        engine.advance_to_next()
        engine.issue()
    engine.calls.clear()
    engine.advance(HOUR / 2)
    start = engine.now
    while len(engine.calls) < 1000:
        engine.issue()
        if len(engine.calls) < 1000:
            engine.advance_to_next()

    assert len(set(engine.calls)) == 1000
    assert engine.now - start < 10 * SECOND  # A burst of 300, then 100 in a second.


def test_there_is_one_call_in_flight_for_an_identity() -> None:
    """However many pods come while it is on its way."""
    engine = Engine()
    agent = engine.connect()
    engine.apply(PodChanged(pod("a", "reader")))
    calls = engine.due()
    for n in range(10):
        engine.apply(PodChanged(pod(f"p{n}", "reader")))
        engine.broker.resolve(NODE, at("10.0.0.1")[0], engine.now)
        assert engine.due() == []
    engine.issue(*calls)

    told = assignments(agent.receive(engine.now))
    assert len(told) == 11
    assert {each.state for each in told.values()} == {State.GRANTED}


def test_what_nobody_needs_is_not_renewed() -> None:
    """It is kept until then, for a pod that may come back, and forgotten."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    engine.connect()
    engine.issue()
    engine.list_pods()
    assert engine.broker.statistics(engine.now).sessions_idle == 1
    engine.advance_to_next()

    assert engine.due() == []
    assert engine.broker.next_moment(engine.now) is None
    assert engine.broker.statistics(engine.now).sessions == 0


def test_a_pod_that_is_replaced_costs_no_call() -> None:
    """A job that runs every minute is one call per renewal interval, not one per minute."""
    engine = Engine()
    agent = engine.connect()
    for n in range(20):
        engine.apply(PodChanged(pod(f"job-{n}", "reader")))
        engine.issue()
        assert assignments(agent.receive(engine.now))[f"job-{n}"].state is State.GRANTED
        engine.apply(PodGone(PodUid(f"uid-job-{n}")))
        engine.advance(MINUTE)

    assert len(engine.calls) == 1


def test_a_role_forgotten_in_flight_stays_forgotten() -> None:
    """A late answer for a pod that is gone is told to nobody and renewed never."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    agent.receive(engine.now)
    calls = engine.due()
    engine.list_pods()
    engine.issue(*calls)

    assert sessions(agent.receive(engine.now)) == []
    engine.advance_to_next()
    assert engine.due() == []
    assert engine.broker.next_moment(engine.now) is None
