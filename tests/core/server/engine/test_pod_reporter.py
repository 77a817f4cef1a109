"""What the journal gets of a pod: each cause once."""

from fakes.engine import Engine, at, pod
from rolecall_proto.values import Reason
from rolecall_server.model.issuer import RefusedError
from rolecall_server.model.pods import Namespace
from rolecall_server.model.source import NamespaceChanged, PodChanged

REFUSED = RefusedError(Reason.ACCESS_DENIED, "the role does not trust us")


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
