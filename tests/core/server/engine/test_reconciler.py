"""What becomes of a change: every pod has the decision that fits what is there now."""

from fakes.engine import OTHER_NODE, TEAM, Engine, assignments, pod, removed, sessions
from rolecall_proto.values import PodUid, Reason, State
from rolecall_server.model.pods import Namespace
from rolecall_server.model.source import (
    NamespaceChanged,
    NamespaceGone,
    NamespacesListed,
    PodChanged,
    PodGone,
    PodsListed,
)


def test_it_is_synced_once_both_kinds_were_listed() -> None:
    """Before, an agent would be told that its pods are gone."""
    engine = Engine(listed=False)
    assert not engine.broker.synced
    engine.apply(PodsListed(()))
    assert not engine.broker.synced
    engine.apply(NamespacesListed(()))

    assert engine.broker.synced


def test_a_pod_in_an_unknown_namespace_is_pending() -> None:
    """It waits, and is decided as soon as the namespace is known."""
    engine = Engine()
    engine.list_pods(pod("a", "reader", namespace="late"))
    agent = engine.connect()
    assert assignments(agent.receive(engine.now))["a"].reason is Reason.NAMESPACE_UNKNOWN
    engine.apply(NamespaceChanged(Namespace("late", permitted=".*")))

    assert assignments(agent.receive(engine.now))["a"].reason is Reason.CREDENTIALS_PENDING


def test_nothing_is_told_twice() -> None:
    """An object that was told again unchanged, as watches do, wakes nobody."""
    engine = Engine()
    agent = engine.connect()
    engine.apply(PodChanged(pod("a", "reader")))
    agent.receive(engine.now)
    wakes = agent.wakes
    engine.apply(PodChanged(pod("a", "reader")), PodsListed((pod("a", "reader"),)))
    engine.apply(NamespaceChanged(TEAM), NamespacesListed((TEAM,)))

    assert agent.wakes == wakes
    assert agent.receive(engine.now) == []


def test_changes_are_coalesced() -> None:
    """Only what is, not what happened; one wake is enough for all of it."""
    engine = Engine()
    agent = engine.connect()
    agent.receive(engine.now)
    for role in ("reader", "writer", "admin"):
        engine.apply(PodChanged(pod("a", role)))
    engine.apply(PodChanged(pod("b")), PodGone(PodUid("uid-b")))

    updates = agent.receive(engine.now)
    assert agent.wakes == 1
    assert assignments(updates)["a"].role == "admin"
    assert len(updates) == 2
    assert removed(updates) == ["uid-b"]


def test_a_changed_role_drops_the_old_session_at_once() -> None:
    """The pod waits for the new one; the old one is not served meanwhile."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.issue()
    agent.receive(engine.now)
    engine.apply(PodChanged(pod("a", "writer")))

    told = assignments(agent.receive(engine.now))["a"]
    assert told.state is State.PENDING
    assert told.session_id is None
    assert told.role == "writer"


def test_a_role_that_comes_back_is_sent_again() -> None:
    """The agent dropped what no pod used; without a call of STS it gets it anew."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.issue()
    agent.receive(engine.now)
    engine.apply(PodChanged(pod("a")))
    agent.receive(engine.now)
    engine.apply(PodChanged(pod("a", "reader")))

    updates = agent.receive(engine.now)
    assert len(sessions(updates)) == 1
    assert assignments(updates)["a"].state is State.GRANTED
    assert engine.due() == []


def test_two_pods_that_swap_roles_keep_both_sessions_known() -> None:
    """Each session is there when the assignment that refers to it is read."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"), pod("b", "writer"))
    agent = engine.connect()
    engine.issue()
    agent.receive(engine.now)
    engine.apply(PodChanged(pod("a", "writer")), PodChanged(pod("b", "reader")))
    updates = agent.receive(engine.now)

    told = assignments(updates)
    assert {told["a"].state, told["b"].state} == {State.GRANTED}
    assert told["a"].role == "writer"


def test_a_relist_removes_what_it_does_not_name() -> None:
    """After a gap in the watch, absence is the only trace of a deletion."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"), pod("b", "writer"))
    agent = engine.connect()
    agent.receive(engine.now)
    engine.list_pods(pod("b", "writer"))

    assert removed(agent.receive(engine.now)) == ["uid-a"]


def test_a_pod_that_moves_to_another_node_leaves_the_first() -> None:
    """Never seen of Kubernetes, and never to be trusted of anybody."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    first, second = engine.connect(), engine.connect(OTHER_NODE)
    first.receive(engine.now)
    second.receive(engine.now)
    engine.apply(PodChanged(pod("a", "reader", node=OTHER_NODE)))

    assert removed(first.receive(engine.now)) == ["uid-a"]
    assert assignments(second.receive(engine.now)).keys() == {"a"}


def test_a_namespaces_rule_takes_effect_at_once() -> None:
    """In both directions, and only for its own pods."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.issue()
    agent.receive(engine.now)
    engine.apply(NamespaceChanged(Namespace("team", permitted="")))
    assert assignments(agent.receive(engine.now))["a"].reason is Reason.NAMESPACE_FORBIDS
    engine.apply(NamespaceChanged(TEAM))

    assert assignments(agent.receive(engine.now))["a"].state is State.GRANTED


def test_a_namespace_that_is_gone_denies() -> None:
    """Known to be gone is not unknown; the memory of it ends with its last pod."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    agent.receive(engine.now)
    engine.apply(NamespaceGone("team"))
    assert assignments(agent.receive(engine.now))["a"].reason is Reason.NAMESPACE_GONE
    engine.list_pods()
    engine.apply(PodChanged(pod("b", "reader")))

    assert assignments(agent.receive(engine.now))["b"].reason is Reason.NAMESPACE_UNKNOWN


def test_tokens_may_be_required_by_a_namespace() -> None:
    """Its pods' assignments say so, from the moment it says so."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    assert not assignments(agent.receive(engine.now))["a"].imdsv2_required
    engine.apply(NamespaceChanged(Namespace("team", permitted=".*", imdsv2_required=True)))

    assert assignments(agent.receive(engine.now))["a"].imdsv2_required
