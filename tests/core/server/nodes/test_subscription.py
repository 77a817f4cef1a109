"""What a node is sent: whatever happens between two looks, the agent ends up with what is."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.engine import NODE, Engine, FakeAgent, assignments, at, pod
from rolecall_agent.store.standing import Granted
from rolecall_proto.values import Assignment, AssignmentUpserted, PodUid, SessionRenewed, State
from rolecall_server.model.source import PodChanged, PodGone

ROLES = ("reader", "writer", "admin", None)
STEP = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 3), st.sampled_from(ROLES)),
    st.tuples(st.just("drop"), st.integers(0, 3), st.none()),
    st.tuples(st.sampled_from(["receive", "issue", "renew", "reconnect"]), st.just(0), st.none()),
)


def truth_of(engine: Engine) -> dict[str, Assignment]:
    """Return what a snapshot would say now: the truth that deltas have to arrive at."""
    other = engine.connect()
    try:
        return assignments(other.receive(engine.now))
    finally:
        engine.broker.disconnect(other.subscription, engine.now)


def act(engine: Engine, agent: FakeAgent, step: tuple[str, int, str | None]) -> FakeAgent:
    kind, number, role = step
    match kind:
        case "put":
            address = at(f"10.0.0.{number + 1}")
            engine.apply(PodChanged(pod(str(number), role, addresses=address)))
        case "drop":
            engine.apply(PodGone(PodUid(f"uid-{number}")))
        case "receive":
            agent.receive(engine.now)
        case "issue":
            engine.issue()
        case "renew":
            engine.advance(timedelta(minutes=29))
            engine.issue()
        case _:
            engine.broker.disconnect(agent.subscription, engine.now)
            return engine.connect(held=agent.cache.held(engine.now), cache=agent.cache)
    return agent


@settings(max_examples=300, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_deltas_arrive_where_a_snapshot_would(steps: list[tuple[str, int, str | None]]) -> None:
    """After any changes, however they were coalesced, the agent's answers are the right ones."""
    engine = Engine()
    agent = engine.connect()
    for step in steps:
        agent = act(engine, agent, step)
    engine.issue()
    agent.receive(engine.now)

    truth = truth_of(engine)
    for number in range(4):
        name = str(number)
        standing = agent.cache.standing(at(f"10.0.0.{number + 1}")[0], engine.now)
        granted = isinstance(standing, Granted)
        assert granted == (name in truth and truth[name].state is State.GRANTED)
        if isinstance(standing, Granted):
            assert standing.assignment == truth[name]
            assert standing.session.id == truth[name].session_id


@settings(max_examples=300, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_a_session_precedes_what_refers_to_it(steps: list[tuple[str, int, str | None]]) -> None:
    """Also to an agent that forgets a session the moment that no pod of it uses it."""
    engine = Engine()
    agent = engine.connect()
    held: set[str] = set()
    users: dict[str, str] = {}
    for step in [*steps, ("receive", 0, None)]:
        before = len(agent.updates)
        if step[0] == "reconnect":
            continue
        agent = act(engine, agent, step)
        for update in agent.updates[before:]:
            if isinstance(update, SessionRenewed):
                held.add(update.session.id)
            if isinstance(update, AssignmentUpserted):
                wanted = update.assignment.session_id
                assert wanted is None or wanted in held
                old = users.pop(update.assignment.uid, None)
                if wanted is not None:
                    users[update.assignment.uid] = wanted
                if old is not None and old not in users.values():
                    held.discard(old)


def test_the_node_in_a_repr_is_all_that_it_shows() -> None:
    """A subscription can be logged."""
    engine = Engine()
    agent = engine.connect()

    assert repr(agent.subscription) == f"<NodeSubscription {NODE}: the snapshot is due>"
    agent.receive(engine.now)
    assert repr(agent.subscription) == f"<NodeSubscription {NODE}: 0 pods to send>"
