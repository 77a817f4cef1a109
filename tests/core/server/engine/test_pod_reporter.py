"""What the journal gets of a pod: each cause once."""

from fakes.engine import HOUR, OTHER_NODE, Engine, at, pod
from rolecall_proto.values import Held, Reason
from rolecall_server.model.issuer import RefusedError, UnavailableError
from rolecall_server.model.pods import Namespace
from rolecall_server.model.source import NamespaceChanged, PodChanged

REFUSED = RefusedError(Reason.ACCESS_DENIED, "the role does not trust us")
DOWN = UnavailableError("no route")


def test_a_denial_is_reported_once_per_cause() -> None:
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


def test_a_refusal_is_reported_of_each_pod_once() -> None:
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


def test_a_refused_renewal_is_reported_at_once_with_what_is_served_until_when() -> None:
    """Half an hour before any pod feels it; and again when the pod has nothing any more."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    agent = engine.connect()
    engine.issue()
    end = engine.now + HOUR
    engine.advance_to_next()
    engine.fail(REFUSED)
    sentence = f"the role does not trust us; what the pod has is served until {end:%FT%TZ}"
    assert engine.journal.about("refused") == [("a", Reason.ACCESS_DENIED, sentence)]
    assert end - engine.now > HOUR / 2
    while len(engine.journal.about("refused")) == 1:
        engine.advance_to_next()
        engine.fail(REFUSED)

    assert engine.now >= end
    assert engine.journal.about("refused")[1:] == [("a", Reason.ACCESS_DENIED, str(REFUSED))]
    assert agent.receive(engine.now)


def test_what_an_agent_holds_is_part_of_what_is_served_until_when() -> None:
    """The server does not have it itself, after a restart of its own."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"))
    first = engine.connect(OTHER_NODE)
    engine.apply(PodChanged(pod("b", "reader", node=OTHER_NODE)))
    (identity,) = engine.due()
    engine.fail(DOWN, identity)
    engine.broker.disconnect(first.subscription, engine.now)
    end = engine.now + HOUR / 4
    engine.connect(held=[Held(identity.session_id, end)])
    engine.advance_to_next()
    engine.fail(REFUSED)

    assert [line[2] for line in engine.journal.about("refused")] == [
        f"the role does not trust us; what the pod has is served until {end:%FT%TZ}"
    ]
