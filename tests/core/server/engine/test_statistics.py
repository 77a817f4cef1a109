"""What the engine counts for metrics."""

import pytest

from fakes.engine import HOUR, Engine, pod
from rolecall_proto.values import Reason, SnapshotEnd, State


@pytest.mark.parametrize("receive_first", [True, False])
def test_statistics_count_what_there_is(*, receive_first: bool) -> None:
    """Pods by state and reason, sessions, nodes by version."""
    engine = Engine()
    engine.list_pods(pod("a", "reader"), pod("b"), pod("c", "reader"), pod("d", "arn:bad"))
    agent = engine.connect()
    if receive_first:
        assert isinstance(agent.receive(engine.now)[-1], SnapshotEnd)
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
