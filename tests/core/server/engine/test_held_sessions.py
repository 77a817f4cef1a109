"""A server that restarts asks STS for nothing that agents hold already."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from fakes.engine import HOUR, NODE, OTHER_NODE, Engine, FakeAgent, assignments, pod, sessions
from rolecall_proto.values import Held, NodeName, Reason, SessionId, State
from rolecall_server.model.issuer import UnavailableError
from rolecall_server.model.source import PodChanged

MINUTE = timedelta(minutes=1)


def restarted(before: Engine, *pods_of: str) -> Engine:
    """Return a new server at the time of *before*, with a pod of role `reader` for each name."""
    after = Engine()
    after.now = before.now
    after.list_pods(*(pod(name, "reader", node=NodeName(f"node-{name}")) for name in pods_of))
    return after


def held_by(agent: FakeAgent, now: datetime) -> Iterable[Held]:
    return agent.cache.held(now)


def one_served() -> tuple[Engine, FakeAgent]:
    """Return a server and its agent, whose one pod is served; ten minutes ago."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.issue()
    agent.receive(engine.now)
    engine.advance(10 * MINUTE)
    return engine, agent


def test_nothing_is_asked_and_nothing_sent_again() -> None:
    """What the agent holds spares STS the call and the wire the credentials."""
    before, agent = one_served()
    after = Engine()
    after.now = before.now
    after.list_pods(pod("a", "reader"))
    again = after.connect(held=held_by(agent, after.now), cache=agent.cache)
    updates = again.receive(after.now)

    assert after.due() == []
    assert sessions(updates) == []
    assert assignments(updates)["a"].state is State.GRANTED
    assert len(again.cache.held(after.now)) == 1
    assert after.broker.statistics(after.now).held_restored == 1


def test_what_is_held_is_renewed_as_if_it_had_been_issued() -> None:
    """At 40 to 48 % of a life that ends when it does."""
    before, agent = one_served()
    end = before.now + 50 * MINUTE
    after = Engine()
    after.now = before.now
    after.list_pods(pod("a", "reader"))
    again = after.connect(held=held_by(agent, after.now), cache=agent.cache)
    again.receive(after.now)
    after.advance_to_next()

    assert 0.52 <= (end - after.now) / HOUR <= 0.60
    after.issue()
    assert len(sessions(again.receive(after.now))) == 1


def test_the_same_server_sends_only_what_is_newer() -> None:
    """A connection that broke costs a snapshot without credentials."""
    engine, agent = one_served()
    engine.broker.disconnect(agent.subscription, engine.now)
    again = engine.connect(held=held_by(agent, engine.now), cache=agent.cache)
    assert sessions(again.receive(engine.now)) == []
    engine.broker.disconnect(again.subscription, engine.now)
    engine.connect(NODE)
    engine.advance_to_next()
    engine.issue()

    last = engine.connect(held=held_by(again, engine.now), cache=again.cache)
    assert len(sessions(last.receive(engine.now))) == 1


def test_what_an_agent_holds_serves_its_own_node_only() -> None:
    """Another node with the same identity has it issued; then both get it."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"), pod("b", "reader", node=OTHER_NODE))
    other = engine.connect(OTHER_NODE)
    other.receive(engine.now)
    identity = engine.due()[0]
    liar = engine.connect(held=[Held(identity.session_id, engine.now + HOUR / 2)])
    liar.receive(engine.now)
    assert assignments(other.updates)["b"].state is State.PENDING
    engine.issue(identity)

    assert assignments(other.receive(engine.now))["b"].state is State.GRANTED
    assert len(sessions(liar.receive(engine.now))) == 1


def test_a_lie_harms_only_the_liar() -> None:
    """It is believed no longer than a session lasts, and less for the renewal."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    honest = engine.connect()
    identity = engine.due()[0]
    engine.issue(identity)
    engine.broker.disconnect(honest.subscription, engine.now)
    engine.advance(HOUR)
    assert engine.due() == []
    engine.connect(held=[Held(identity.session_id, engine.now + 1000 * HOUR)])
    start = engine.now
    engine.advance_to_next()

    assert engine.now - start < HOUR / 2
    assert len(engine.due()) == 1


def test_what_is_held_and_ends_during_an_outage_is_no_grant() -> None:
    """The pods are told to wait once the credentials that their node holds have ended."""
    before, agent = one_served()
    end = before.now + 50 * MINUTE
    after = Engine()
    after.now = before.now
    after.list_pods(pod("a", "reader"))
    again = after.connect(held=held_by(agent, after.now), cache=agent.cache)
    again.receive(after.now)
    while after.now < end:
        after.advance_to_next()
        after.fail(UnavailableError("no route"))

    told = assignments(again.receive(after.now))["a"]
    assert (told.state, told.reason) == (State.PENDING, Reason.STS_UNREACHABLE)


def test_sessions_held_without_a_pod_are_forgotten_with_the_snapshot() -> None:
    """The agent drops them then, so a pod that comes later needs the credentials."""
    engine, agent = one_served()
    held = held_by(agent, engine.now)
    after = Engine()
    after.now = engine.now
    again = after.connect(held=held)
    again.receive(after.now)
    after.apply(PodChanged(pod("late", "reader")))

    assert assignments(again.receive(after.now))["late"].state is State.PENDING
    after.issue()
    assert len(sessions(again.receive(after.now))) == 1


def test_two_pods_that_swap_roles_that_are_held_are_served_again() -> None:
    """What only the agent had, and dropped, is issued anew rather than referred to."""
    first = Engine()
    first.list_pods(pod("a", "reader"), pod("b", "writer"))
    agent = first.connect()
    first.issue()
    agent.receive(first.now)
    engine = Engine()
    engine.list_pods(pod("a", "reader"), pod("b", "writer"))
    again = engine.connect(held=held_by(agent, engine.now), cache=agent.cache)
    again.receive(engine.now)
    assert engine.due() == []
    engine.apply(PodChanged(pod("a", "writer")), PodChanged(pod("b", "reader")))
    again.receive(engine.now)
    engine.issue()
    told = assignments(again.updates + again.receive(engine.now))

    assert {each.state for each in told.values()} == {State.GRANTED}
    assert {each.session_id for each in told.values()} <= {
        held.session_id for held in again.cache.held(engine.now)
    }


def test_a_thousand_agents_that_return_cause_no_burst() -> None:
    """With one shared identity, not a single call until the first of them needs renewal."""
    first = Engine()
    names = [f"n{n}" for n in range(1000)]
    first.list_pods(*(pod(name, "reader", node=NodeName(f"node-{name}")) for name in names))
    first.connect(NodeName("node-n0"))
    session_id = SessionId(first.due()[0].session_id)
    after = restarted(first, *names)
    for n, name in enumerate(names):
        end = after.now + HOUR - n * timedelta(seconds=1)
        after.connect(NodeName(f"node-{name}"), held=[Held(session_id, end)]).receive(after.now)

    assert after.due() == []
    after.advance_to_next()
    after.issue()
    assert len(after.calls) == 1
    after.advance(20 * MINUTE)
    assert after.due() == []
