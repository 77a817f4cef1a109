"""Whether a pod's credentials are still to come: asked at each change, whatever a node holds."""

from datetime import datetime, timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.calls import python_calls
from fakes.clock import FakeClock
from fakes.endpoint_rig import START, pod, session
from rolecall_agent.process.takeover import WarmUp
from rolecall_agent.store.cache import Cache
from rolecall_proto.values import (
    Assignment,
    AssignmentUpserted,
    Heartbeat,
    PodRemoved,
    PodUid,
    Reason,
    SessionId,
    SessionRenewed,
    SnapshotEnd,
    State,
    Update,
)

_REASONS = {
    State.GRANTED: (None,),
    State.PENDING: (Reason.CREDENTIALS_PENDING, Reason.STS_UNREACHABLE, Reason.NAMESPACE_UNKNOWN),
    State.DENIED: (Reason.NO_ROLE,),
    State.FAILED: (Reason.ACCESS_DENIED,),
}
_COMING = (Reason.CREDENTIALS_PENDING, Reason.STS_UNREACHABLE)


def assigned(uid: str, state: State, reason: Reason | None, session_id: str = "s1") -> Assignment:
    one = pod("10.0.0.1", state, reason, uid=uid)
    return one if state is not State.GRANTED else granted(uid, session_id)


def granted(uid: str, session_id: str) -> Assignment:
    return Assignment(
        uid=PodUid(uid),
        namespace="shop",
        name=uid,
        service_account="default",
        addresses=(ip_address("10.0.0.1"),),
        state=State.GRANTED,
        role="reader",
        role_arn="arn:aws:iam::111122223333:role/reader",
        session_id=SessionId(session_id),
    )


def synced(*updates: Update) -> Cache:
    cache = Cache()
    cache.begin()
    for update in (*updates, SnapshotEnd()):
        cache.apply(update, START)
    return cache


@pytest.mark.parametrize(
    ("state", "reason"), [(state, each) for state, some in _REASONS.items() for each in some]
)
def test_credentials_are_awaited_that_another_agent_may_hold(
    state: State, reason: Reason | None
) -> None:
    """Neither what STS refuses nor what nobody may have is waited for."""
    cache = synced(AssignmentUpserted(assigned("u1", state, reason)))

    assert cache.awaits_credentials == (state is State.GRANTED or reason in _COMING)


def test_credentials_that_came_are_awaited_no_more() -> None:
    """With the session of a granted pod, with its grant, or with the pod's end."""
    cache = synced(
        AssignmentUpserted(granted("u1", "s1")),
        AssignmentUpserted(assigned("u2", State.PENDING, Reason.CREDENTIALS_PENDING)),
        AssignmentUpserted(assigned("u3", State.PENDING, Reason.STS_UNREACHABLE)),
    )
    awaited = [cache.awaits_credentials]
    for update in (
        SessionRenewed(session("s1")),
        AssignmentUpserted(granted("u2", "s1")),
        PodRemoved(PodUid("u3")),
    ):
        cache.apply(update, START)
        awaited.append(cache.awaits_credentials)

    assert awaited == [True, True, True, False]


_uids = st.sampled_from(["u1", "u2", "u3"])
_states = st.sampled_from([(state, each) for state, some in _REASONS.items() for each in some])
_sessions = st.sampled_from(["s1", "s2"])
_updates = st.one_of(
    st.builds(lambda u, s, i: AssignmentUpserted(assigned(u, *s, i)), _uids, _states, _sessions),
    st.builds(lambda u: PodRemoved(PodUid(u)), _uids),
    st.builds(lambda s: SessionRenewed(session(s)), _sessions),
    st.builds(lambda seconds: Heartbeat(START + timedelta(seconds=seconds)), st.integers(0, 90)),
    st.just(SnapshotEnd()),
)


@given(st.lists(_updates | st.none(), max_size=40))
def test_what_is_kept_at_each_change_is_what_a_walk_would_find(steps: list[Update | None]) -> None:
    """In every order of changes and streams."""
    cache, now = synced(), START
    for step in steps:
        if step is None:
            cache.begin()
            continue
        if isinstance(step, Heartbeat):
            now = max(now, step.sent_at)
        cache.apply(step, now)
        statistics = cache.statistics(START)
        walked = statistics.missing + sum(
            statistics.pods.get((State.PENDING, reason), 0) for reason in _COMING
        )

        assert cache.awaits_credentials == bool(walked)


def test_an_update_before_the_agent_is_warm_costs_the_same_whatever_it_holds() -> None:
    """A roll-out of a thousand pods makes thousands of updates, and one role may stay missing."""

    def cost(pods: int) -> int:
        known = [AssignmentUpserted(granted(f"u{number}", "s1")) for number in range(pods)]
        cache = synced(SessionRenewed(session("s1")), *known)
        cache.apply(AssignmentUpserted(granted("late", "s2")), START)
        return python_calls(WarmUp(cache, FakeClock()).update)

    assert cost(1000) == cost(10)


class _Moment(datetime):
    """A time whose reckoning is written in Python, so that it counts as a call."""

    def __sub__(self, other: object) -> timedelta:  # type: ignore[override]
        return super().__sub__(other)  # type: ignore[operator,return-value]


def test_an_update_costs_the_same_however_many_sessions_linger() -> None:
    """Those of a thousand pods that ended together are looked at once they may be forgotten."""
    now = _Moment.fromisoformat(START.isoformat())

    def cost(pods: int) -> int:
        numbers = range(pods)
        cache = synced(
            *(SessionRenewed(session(f"s{number}")) for number in numbers),
            *(AssignmentUpserted(granted(f"u{number}", f"s{number}")) for number in numbers),
        )
        for number in numbers:
            cache.apply(PodRemoved(PodUid(f"u{number}")), START)
        return python_calls(lambda: cache.apply(Heartbeat(now), now))

    assert cost(1000) == cost(10)
