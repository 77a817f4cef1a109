"""The engine's promises: who is told what, and what STS is asked."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from fakes.engine import (
    HOUR,
    NODE,
    OTHER_NODE,
    TEAM,
    Engine,
    assignments,
    at,
    pod,
    removed,
    sessions,
)
from rolecall_proto.values import (
    EndpointKeys,
    PodTokenRules,
    PodUid,
    Reason,
    Resolution,
    SnapshotEnd,
    State,
)
from rolecall_server.model.decisions import Decision, Denied, Gone
from rolecall_server.model.issuer import RefusedError, UnavailableError
from rolecall_server.model.pods import Namespace, ObjectUnusable, Pod
from rolecall_server.model.source import (
    NamespaceChanged,
    NamespaceGone,
    NamespacesListed,
    PodChanged,
    PodGone,
    PodsListed,
)
from rolecall_server.policy.policy import Policy

REFUSED = RefusedError(Reason.ACCESS_DENIED, "the role does not trust us")
DOWN = UnavailableError("no route")
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


# --- before anything is known ---


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
    assert assignments(agent.hear(engine.now))["a"].reason is Reason.NAMESPACE_UNKNOWN
    engine.apply(NamespaceChanged(Namespace("late", permitted=".*")))

    assert assignments(agent.hear(engine.now))["a"].reason is Reason.CREDENTIALS_PENDING


# --- from a pod to its credentials ---


def test_a_snapshot_is_whole_and_in_order() -> None:
    """Keys, sessions, assignments, the end."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"), pod("b"))
    engine.connect()
    engine.issue()
    updates = engine.connect().hear(engine.now)

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
    agent.hear(engine.now)
    engine.apply(PodChanged(pod("a", "reader")))
    assert assignments(agent.hear(engine.now))["a"].state is State.PENDING
    engine.issue()

    updates = agent.hear(engine.now)
    assert len(engine.calls) == 1
    assert [type(each).__name__ for each in updates] == ["SessionRenewed", "AssignmentUpserted"]
    assert assignments(updates)["a"].session_id == engine.calls[0].session_id


def test_pods_are_told_an_earlier_end() -> None:
    """Five minutes, for SDKs that renew in the last second."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.issue()

    session = sessions(agent.hear(engine.now))[0].session
    assert session.reported_until == session.credentials.expires_at - 5 * MINUTE


def test_nothing_is_issued_for_a_node_without_an_agent() -> None:
    """Demand follows connections."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    assert engine.due() == []
    engine.connect(OTHER_NODE).hear(engine.now)
    assert engine.due() == []
    engine.connect()

    assert len(engine.due()) == 1


def test_a_node_is_told_of_its_own_pods_only() -> None:
    """Whatever other nodes have."""
    engine = Engine()
    engine.list_pods(pod("mine", "reader"), pod("theirs", "writer", node=OTHER_NODE))
    mine, theirs = engine.connect(), engine.connect(OTHER_NODE)
    engine.issue()

    assert assignments(mine.hear(engine.now)).keys() == {"mine"}
    assert assignments(theirs.hear(engine.now)).keys() == {"theirs"}
    assert len(sessions(mine.updates)) == 1


def test_pods_that_agree_share_one_session() -> None:
    """Two hundred pods of one role on two nodes: one call, one copy per node."""
    engine = Engine()
    nodes = (NODE, OTHER_NODE)
    engine.list_pods(*(pod(f"p{n}", "reader", node=nodes[n % 2]) for n in range(200)))
    agents = [engine.connect(node) for node in nodes]
    for agent in agents:
        agent.hear(engine.now)
    engine.issue()

    assert len(engine.calls) == 1
    for agent in agents:
        updates = agent.hear(engine.now)
        assert len(sessions(updates)) == 1
        assert len(assignments(updates)) == 100


def test_two_hundred_cold_roles_go_out_at_once() -> None:
    """The budget's burst is for this."""
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
    assert assignments(agent.hear(engine.now)) == {}
    engine.apply(PodChanged(pod("a", "reader")))
    assert assignments(agent.hear(engine.now)).keys() == {"a"}
    engine.apply(PodChanged(pod("a", "reader", finished=True)))

    assert removed(agent.hear(engine.now)) == ["uid-a"]


def test_the_key_of_tokens_is_the_nodes_own() -> None:
    """Stable for a node, another for each, and nothing that shows in a log."""
    engine = Engine()
    first, again, other = (
        next(each for each in listener.hear(engine.now) if isinstance(each, EndpointKeys))
        for listener in (engine.connect(), engine.connect(), engine.connect(OTHER_NODE))
    )

    assert first.token_key == again.token_key
    assert len(first.token_key) == 32
    assert first.token_key != other.token_key
    assert repr(first.token_key) not in repr(first)


def test_new_keys_of_the_cluster_reach_every_node_once() -> None:
    """With the snapshot where they are known by then, and else as a change of their own."""
    engine = Engine()
    early, late = engine.connect(), engine.connect(OTHER_NODE)
    [first] = (each for each in early.hear(engine.now) if isinstance(each, EndpointKeys))
    for key in ("old", "new"):
        engine.broker.check_pod_tokens(PodTokenRules("issuer", ("pods",), (key,)))
    newest = PodTokenRules("issuer", ("pods",), ("new",))

    assert first.pod_tokens is None
    assert early.wakes == 1
    assert early.hear(engine.now) == [replace(first, pod_tokens=newest)]
    assert early.hear(engine.now) == []
    for agent in (late, engine.connect()):
        [keys] = (each for each in agent.hear(engine.now) if isinstance(each, EndpointKeys))
        assert keys.pod_tokens == newest
        assert agent.hear(engine.now) == []


# --- changes ---


def test_nothing_is_told_twice() -> None:
    """An object that was told again unchanged, as watches do, wakes nobody."""
    engine = Engine()
    agent = engine.connect()
    engine.apply(PodChanged(pod("a", "reader")))
    agent.hear(engine.now)
    wakes = agent.wakes
    engine.apply(PodChanged(pod("a", "reader")), PodsListed((pod("a", "reader"),)))
    engine.apply(NamespaceChanged(TEAM), NamespacesListed((TEAM,)))

    assert agent.wakes == wakes
    assert agent.hear(engine.now) == []


def test_changes_are_coalesced() -> None:
    """Only what is, not what happened; one wake is enough for all of it."""
    engine = Engine()
    agent = engine.connect()
    agent.hear(engine.now)
    for role in ("reader", "writer", "admin"):
        engine.apply(PodChanged(pod("a", role)))
    engine.apply(PodChanged(pod("b")), PodGone(PodUid("uid-b")))

    updates = agent.hear(engine.now)
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
    agent.hear(engine.now)
    engine.apply(PodChanged(pod("a", "writer")))

    told = assignments(agent.hear(engine.now))["a"]
    assert told.state is State.PENDING
    assert told.session_id is None
    assert told.role == "writer"


def test_a_role_that_comes_back_is_sent_again() -> None:
    """The agent dropped what no pod used; without a call of STS it gets it anew."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.issue()
    agent.hear(engine.now)
    engine.apply(PodChanged(pod("a")))
    agent.hear(engine.now)
    engine.apply(PodChanged(pod("a", "reader")))

    updates = agent.hear(engine.now)
    assert len(sessions(updates)) == 1
    assert assignments(updates)["a"].state is State.GRANTED
    assert engine.due() == []


def test_two_pods_that_swap_roles_keep_both_sessions_known() -> None:
    """Each session is there when the assignment that refers to it is read."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"), pod("b", "writer"))
    agent = engine.connect()
    engine.issue()
    agent.hear(engine.now)
    engine.apply(PodChanged(pod("a", "writer")), PodChanged(pod("b", "reader")))
    updates = agent.hear(engine.now)

    told = assignments(updates)
    assert {told["a"].state, told["b"].state} == {State.GRANTED}
    assert told["a"].role == "writer"


def test_a_relist_removes_what_it_does_not_name() -> None:
    """After a gap in the watch, absence is the only trace of a deletion."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"), pod("b", "writer"))
    agent = engine.connect()
    agent.hear(engine.now)
    engine.list_pods(pod("b", "writer"))

    assert removed(agent.hear(engine.now)) == ["uid-a"]


def test_a_pod_that_moves_to_another_node_leaves_the_first() -> None:
    """Never seen of Kubernetes, and never to be trusted of anybody."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    first, second = engine.connect(), engine.connect(OTHER_NODE)
    first.hear(engine.now)
    second.hear(engine.now)
    engine.apply(PodChanged(pod("a", "reader", node=OTHER_NODE)))

    assert removed(first.hear(engine.now)) == ["uid-a"]
    assert assignments(second.hear(engine.now)).keys() == {"a"}


def test_a_namespaces_rule_takes_effect_at_once() -> None:
    """In both directions, and only for its own pods."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.issue()
    agent.hear(engine.now)
    engine.apply(NamespaceChanged(Namespace("team", permitted="")))
    assert assignments(agent.hear(engine.now))["a"].reason is Reason.NAMESPACE_FORBIDS
    engine.apply(NamespaceChanged(TEAM))

    assert assignments(agent.hear(engine.now))["a"].state is State.GRANTED


def test_a_namespace_that_is_gone_denies() -> None:
    """Known to be gone is not unknown; the memory of it ends with its last pod."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    agent.hear(engine.now)
    engine.apply(NamespaceGone("team"))
    assert assignments(agent.hear(engine.now))["a"].reason is Reason.NAMESPACE_GONE
    engine.list_pods()
    engine.apply(PodChanged(pod("b", "reader")))

    assert assignments(agent.hear(engine.now))["b"].reason is Reason.NAMESPACE_UNKNOWN


def test_tokens_may_be_required_by_a_namespace() -> None:
    """Its pods' assignments say so, from the moment it says so."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    assert not assignments(agent.hear(engine.now))["a"].imdsv2_required
    engine.apply(NamespaceChanged(Namespace("team", permitted=".*", imdsv2_required=True)))

    assert assignments(agent.hear(engine.now))["a"].imdsv2_required


# --- renewal ---


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
    assert agent.hear(engine.now)


def test_a_renewal_travels_once_per_node() -> None:
    """And the assignments, which have not changed, not at all."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"), pod("b", "reader"))
    agent = engine.connect()
    engine.issue()
    agent.hear(engine.now)
    engine.advance_to_next()
    engine.issue()

    updates = agent.hear(engine.now)
    assert len(updates) == 1
    assert sessions(updates)[0].session.credentials.expires_at == engine.now + HOUR


def test_a_thousand_that_fall_due_together_are_all_renewed() -> None:
    """One call each, within the budget, all long before their end."""
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

    told = assignments(agent.hear(engine.now))
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
        assert assignments(agent.hear(engine.now))[f"job-{n}"].state is State.GRANTED
        engine.apply(PodGone(PodUid(f"uid-job-{n}")))
        engine.advance(MINUTE)

    assert len(engine.calls) == 1


def test_a_role_forgotten_in_flight_stays_forgotten() -> None:
    """A late answer for a pod that is gone is told to nobody and renewed never."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    agent.hear(engine.now)
    calls = engine.due()
    engine.list_pods()
    engine.issue(*calls)

    assert sessions(agent.hear(engine.now)) == []
    engine.advance_to_next()
    assert engine.due() == []
    assert engine.broker.next_moment(engine.now) is None


def test_idle_sessions_are_bounded() -> None:
    """Where every pod has its own identity, those that are gone do not pile up."""
    engine = Engine()
    engine.connect()
    for n in range(5000):
        engine.apply(PodChanged(pod(f"p{n}", f"role-{n}")))
        engine.issue()
        engine.apply(PodGone(PodUid(f"uid-p{n}")))
        engine.advance(SECOND / 100)

    assert engine.broker.statistics(engine.now).sessions_idle <= 4096


# --- failures ---


def test_a_refused_role_is_told_at_once_and_asked_for_again() -> None:
    """The pods get the reason; the first retry comes after two seconds."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.fail(REFUSED)

    told = assignments(agent.hear(engine.now))["a"]
    assert (told.state, told.reason) == (State.FAILED, Reason.ACCESS_DENIED)
    assert engine.broker.next_moment(engine.now) == engine.now + 2 * SECOND
    engine.advance_to_next()
    engine.issue()
    assert assignments(agent.hear(engine.now))["a"].state is State.GRANTED


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
    agent.hear(engine.now)
    end = engine.now + HOUR
    while engine.now < end:
        engine.advance_to_next()
        engine.fail(REFUSED)
        if engine.now < end:
            assert agent.hear(engine.now) == []

    told = assignments(agent.hear(engine.now))["a"]
    assert engine.now == end
    assert (told.state, told.reason) == (State.FAILED, Reason.ACCESS_DENIED)


def test_an_unreachable_sts_keeps_pods_waiting() -> None:
    """Nobody is refused because of an outage, and nothing held is taken away."""
    engine = Engine()
    engine.list_pods(pod("old", "reader"))
    agent = engine.connect()
    engine.issue()
    engine.apply(PodChanged(pod("new", "writer")))
    agent.hear(engine.now)
    for _ in range(20):
        engine.fail(DOWN)
        engine.advance_to_next()

    told = assignments(agent.updates + agent.hear(engine.now))
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


def test_credentials_that_have_ended_already_count_as_no_answer() -> None:
    """A wrong clock somewhere is no reason to ask STS without pause."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.issue(life=-HOUR)

    assert assignments(agent.hear(engine.now))["a"].reason is Reason.STS_UNREACHABLE
    moment = engine.broker.next_moment(engine.now)
    assert moment is not None
    assert moment > engine.now


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

    assert agent.hear(engine.now) == []
    assert engine.due() == []
    assert agent.wakes == 0


def test_two_agents_of_one_node_hear_the_same() -> None:
    """While one replaces the other both are served, by one call."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    old, new = engine.connect(), engine.connect()
    engine.issue()

    assert assignments(old.hear(engine.now)) == assignments(new.hear(engine.now))
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

    assert len(sessions(engine.connect().hear(engine.now))) == 1
    assert len(engine.calls) == 1


# --- the boundary around one object ---


class Trap(Policy):
    """A policy with a bug that one pod brings up."""

    def __init__(self) -> None:
        """Take no settings: it knows what it says."""
        self.prey = "strange"

    def decide(self, pod: Pod, namespace: Namespace | Gone | None) -> Decision:
        if pod.name == self.prey:
            raise ZeroDivisionError(f"{pod.name} in {namespace}")
        return Denied(Reason.NO_ROLE, "no role")


def test_a_bug_around_one_pod_harms_no_other() -> None:
    """It is denied and counted, with its error in the journal; its neighbours are decided."""
    engine = Engine(policy=Trap())
    engine.list_pods(pod("a"), pod("strange"), pod("z"))
    told = assignments(engine.connect().hear(engine.now))

    assert {name: each.reason for name, each in told.items()} == {
        "a": Reason.NO_ROLE,
        "strange": Reason.BUG,
        "z": Reason.NO_ROLE,
    }
    assert [line[:2] for line in engine.journal.about("bug")] == [("Pod", "uid-strange")]
    assert engine.broker.statistics(engine.now).bugs == 1
    assert engine.broker.statistics(engine.now).quarantined == 1


def test_an_unusable_object_takes_its_pod_away() -> None:
    """What cannot be read any more is not served any more; when it is mended it is."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    agent.hear(engine.now)
    engine.apply(ObjectUnusable("Pod", "uid-a", "no name"))
    assert removed(agent.hear(engine.now)) == ["uid-a"]
    assert engine.broker.statistics(engine.now).quarantined == 1
    engine.apply(PodChanged(pod("a", "reader")))

    assert assignments(agent.hear(engine.now)).keys() == {"a"}
    assert engine.broker.statistics(engine.now).quarantined == 0


def quarantined(engine: Engine) -> int:
    return engine.broker.statistics(engine.now).quarantined


def test_a_namespace_that_was_mended_or_deleted_is_quarantined_no_more() -> None:
    """It is read as it was before, or anew, or is gone: the level falls."""
    engine = Engine()
    for name in ("team", "new", "going"):
        engine.apply(ObjectUnusable("Namespace", name, "unreadable"))
    assert quarantined(engine) == 3

    engine.apply(NamespaceChanged(TEAM))
    assert quarantined(engine) == 2
    engine.apply(NamespaceChanged(Namespace("new")))
    assert quarantined(engine) == 1
    engine.apply(NamespaceGone("going"))
    assert quarantined(engine) == 0


def test_a_listing_ends_the_quarantine_of_what_it_has_or_has_not() -> None:
    """What is still there and unusable is told after it, and counts again."""
    engine = Engine()
    for kind, key in product(("Pod", "Namespace"), ("gone", "mended", "odd")):
        engine.apply(ObjectUnusable(kind, key, "unreadable"))
    engine.list_pods(pod("x", uid="mended"))
    assert quarantined(engine) == 3
    engine.apply(ObjectUnusable("Pod", "odd", "unreadable"))
    assert quarantined(engine) == 4
    engine.apply(NamespacesListed((TEAM, Namespace("mended"))))

    assert quarantined(engine) == 1


@pytest.mark.parametrize(
    "again",
    [PodsListed((pod("strange"),)), NamespaceChanged(Namespace("team", default_role="reader"))],
    ids=["listed", "decided"],
)
def test_a_pod_that_a_bug_has_set_aside_is_decided_when_it_is_looked_at_again(
    again: PodsListed | NamespaceChanged,
) -> None:
    """It is quarantined until a decision comes to its end, and not longer."""
    trap = Trap()
    engine = Engine(policy=trap)
    engine.list_pods(pod("strange"))
    engine.connect()
    assert quarantined(engine) == 1
    engine.apply(again)
    assert quarantined(engine) == 1
    trap.prey = ""
    engine.apply(again if isinstance(again, PodsListed) else NamespaceChanged(TEAM))

    assert quarantined(engine) == 0
    assert engine.broker.statistics(engine.now).assigned[State.DENIED, Reason.NO_ROLE] == 1


# --- what the journal hears ---


def test_a_denial_is_said_once_per_cause() -> None:
    """Not at each relist, not for pods without a role, and only for connected nodes."""
    engine = Engine()
    engine.apply(NamespaceChanged(Namespace("team", permitted="")))
    engine.list_pods(pod("a", "reader"), pod("b"))
    assert engine.journal.about("denied") == []
    engine.connect()
    engine.connect()
    engine.apply(PodChanged(pod("a", "reader", addresses=at("10.0.0.1"))))
    said = [line[:2] for line in engine.journal.about("denied")]
    assert said == [("a", Reason.NAMESPACE_FORBIDS)]
    engine.apply(PodChanged(pod("a", "arn:bad")))

    said = [line[:2] for line in engine.journal.about("denied")]
    assert said[1:] == [("a", Reason.ROLE_MALFORMED)]


def test_a_refusal_is_said_of_each_pod_once() -> None:
    """Until it was mended: then it is news again."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"), pod("b", "reader"))
    engine.connect()
    for _ in range(3):
        engine.fail(REFUSED)
        engine.advance_to_next()
    said = [line[:2] for line in engine.journal.about("refused")]
    assert said == [("a", Reason.ACCESS_DENIED), ("b", Reason.ACCESS_DENIED)]
    engine.apply(PodChanged(pod("c", "reader")))

    assert len(engine.journal.about("refused")) == 3


@pytest.mark.parametrize("hear_first", [True, False])
def test_statistics_count_what_there_is(*, hear_first: bool) -> None:
    """Pods by state and reason, sessions, nodes by version."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"), pod("b"), pod("c", "reader"), pod("d", "arn:bad"))
    agent = engine.connect()
    if hear_first:
        assert isinstance(agent.hear(engine.now)[-1], SnapshotEnd)
    engine.issue()
    found = engine.broker.statistics(engine.now)

    assert found.pods == 4
    assert found.assigned == {
        (State.GRANTED, None): 2,
        (State.DENIED, Reason.NO_ROLE): 1,
        (State.DENIED, Reason.ROLE_MALFORMED): 1,
    }
    assert found.nodes == {"0.1.0": 1}
    assert found.sessions == 1
    assert found.first_end == engine.now + HOUR
    assert (found.due, found.in_flight, found.overdue) == (0, 0, 0)
