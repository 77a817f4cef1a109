"""What nobody needs is kept for a while, and not without a bound."""

from datetime import timedelta

from fakes.engine import Engine, pod
from rolecall_proto.values import PodUid
from rolecall_server.model.source import PodChanged, PodGone

SECOND = timedelta(seconds=1)


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
