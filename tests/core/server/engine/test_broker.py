"""The engine's promises: which node is sent what, and what STS is asked."""

from datetime import timedelta

from fakes.engine import NODE, OTHER_NODE, Engine, assignments, at, pod, removed, sessions
from rolecall_proto.values import Reason, Resolution, State
from rolecall_server.model.source import PodChanged

MINUTE = timedelta(minutes=1)


# --- from a pod to its credentials ---


def test_a_snapshot_is_whole_and_in_order() -> None:
    """Keys, sessions, assignments, the end."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"), pod("b"))
    engine.connect()
    engine.issue()
    updates = engine.connect().receive(engine.now)

    kinds = [type(update).__name__ for update in updates]
    assert kinds == [
        "EndpointKeys",
        "SessionRenewed",
        "AssignmentUpserted",
        "AssignmentUpserted",
        "SnapshotEnd",
    ]
    assert assignments(updates)["a"].state is State.GRANTED
    assert assignments(updates)["b"].reason is Reason.NO_ROLE


def test_credentials_are_obtained_before_they_are_asked_for() -> None:
    """A pod that is bound to a node is reason enough."""
    engine = Engine()
    agent = engine.connect()
    agent.receive(engine.now)
    engine.apply(PodChanged(pod("a", "reader")))
    assert assignments(agent.receive(engine.now))["a"].state is State.PENDING
    engine.issue()

    updates = agent.receive(engine.now)
    assert len(engine.calls) == 1
    assert [type(each).__name__ for each in updates] == ["SessionRenewed", "AssignmentUpserted"]
    assert assignments(updates)["a"].session_id == engine.calls[0].session_id


def test_pods_are_told_an_earlier_end() -> None:
    """Five minutes, for SDKs that renew in the last second."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.issue()

    session = sessions(agent.receive(engine.now))[0].session
    assert session.reported_until == session.credentials.expires_at - 5 * MINUTE


def test_nothing_is_issued_for_a_node_without_an_agent() -> None:
    """Demand follows connections."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    assert engine.due() == []
    engine.connect(OTHER_NODE).receive(engine.now)
    assert engine.due() == []
    engine.connect()

    assert len(engine.due()) == 1


def test_a_node_is_told_of_its_own_pods_only() -> None:
    """Whatever other nodes have."""
    engine = Engine()
    engine.list_pods(pod("mine", "reader"), pod("theirs", "writer", node=OTHER_NODE))
    mine, theirs = engine.connect(), engine.connect(OTHER_NODE)
    engine.issue()

    assert assignments(mine.receive(engine.now)).keys() == {"mine"}
    assert assignments(theirs.receive(engine.now)).keys() == {"theirs"}
    assert len(sessions(mine.updates)) == 1


def test_pods_that_agree_share_one_session() -> None:
    """Two hundred pods of one role on two nodes: one call, one copy per node."""
    engine = Engine()
    nodes = (NODE, OTHER_NODE)
    engine.list_pods(*(pod(f"p{n}", "reader", node=nodes[n % 2]) for n in range(200)))
    agents = [engine.connect(node) for node in nodes]
    for agent in agents:
        agent.receive(engine.now)
    engine.issue()

    assert len(engine.calls) == 1
    for agent in agents:
        updates = agent.receive(engine.now)
        assert len(sessions(updates)) == 1
        assert len(assignments(updates)) == 100


def test_two_hundred_cold_roles_go_out_at_once() -> None:
    """The rate limiter's burst is for this."""
    engine = Engine()
    engine.list_pods(*(pod(f"p{n}", f"role-{n}") for n in range(200)))
    engine.connect()

    assert len(engine.due()) == 200


def test_an_unbound_or_finished_pod_has_nothing() -> None:
    """A pod counts from bound to a node until Succeeded or Failed."""
    engine = Engine()
    agent = engine.connect()
    engine.apply(PodChanged(pod("a", "reader", node=None)))
    engine.apply(PodChanged(pod("b", "writer", finished=True)))
    assert assignments(agent.receive(engine.now)) == {}
    engine.apply(PodChanged(pod("a", "reader")))
    assert assignments(agent.receive(engine.now)).keys() == {"a"}
    engine.apply(PodChanged(pod("a", "reader", finished=True)))

    assert removed(agent.receive(engine.now)) == ["uid-a"]


# --- addresses that agents ask about ---


def test_resolve_knows_the_pods_of_that_node_only() -> None:
    """A node learns nothing about another node's addresses."""
    engine = Engine()
    engine.list_pods(pod("a", addresses=at("10.0.0.1")))

    assert engine.broker.resolve(NODE, at("10.0.0.1")[0], engine.now) is Resolution.KNOWN
    assert engine.broker.resolve(OTHER_NODE, at("10.0.0.1")[0], engine.now) is Resolution.UNKNOWN
    assert engine.broker.resolve(NODE, at("10.0.0.2")[0], engine.now) is Resolution.UNKNOWN


# --- connections ---


def test_a_closed_connection_says_nothing_and_needs_nothing() -> None:
    """Closing twice is closing once."""
    engine = Engine()
    agent = engine.connect()
    engine.broker.disconnect(agent.subscription, engine.now)
    engine.broker.disconnect(agent.subscription, engine.now)
    engine.apply(PodChanged(pod("a", "reader")))

    assert agent.receive(engine.now) == []
    assert engine.due() == []
    assert agent.wakes == 0


def test_two_agents_of_one_node_hear_the_same() -> None:
    """While one replaces the other both are served, by one call."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    old, new = engine.connect(), engine.connect()
    engine.issue()

    assert assignments(old.receive(engine.now)) == assignments(new.receive(engine.now))
    assert len(engine.calls) == 1
    engine.broker.disconnect(old.subscription, engine.now)
    engine.advance_to_next()
    assert len(engine.due()) == 1


def test_an_agent_that_restarts_empty_is_served_without_a_call() -> None:
    """What was issued for its node is still fresh."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.issue()
    engine.broker.disconnect(agent.subscription, engine.now)
    engine.advance(MINUTE)

    assert len(sessions(engine.connect().receive(engine.now))) == 1
    assert len(engine.calls) == 1
