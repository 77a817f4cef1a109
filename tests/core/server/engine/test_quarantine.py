"""The boundary around one object: what cannot be used is left out, and harms no other."""

from itertools import product

import pytest

from fakes.engine import TEAM, Engine, assignments, pod, removed
from rolecall_proto.values import Reason, State
from rolecall_server.model.decisions import Decision, Denied, Gone
from rolecall_server.model.pods import Namespace, ObjectUnusable, Pod
from rolecall_server.model.source import (
    NamespaceChanged,
    NamespaceGone,
    NamespacesListed,
    PodChanged,
    PodsListed,
)
from rolecall_server.policy.policy import Policy


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
    told = assignments(engine.connect().receive(engine.now))

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
    agent.receive(engine.now)
    engine.apply(ObjectUnusable("Pod", "uid-a", "no name"))
    assert removed(agent.receive(engine.now)) == ["uid-a"]
    assert engine.broker.statistics(engine.now).quarantined == 1
    engine.apply(PodChanged(pod("a", "reader")))

    assert assignments(agent.receive(engine.now)).keys() == {"a"}
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
