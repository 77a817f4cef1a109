"""What a node holds: snapshots, changes, and which address gets what."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from rolecall_agent.store.cache import NOTHING, Cache
from rolecall_agent.store.standing import UNKNOWN, Granted, Refused, Waiting
from rolecall_agent.store.tables import LINGER
from rolecall_common.secret import Secret
from rolecall_proto.values import (
    Assignment,
    AssignmentUpserted,
    Credentials,
    EndpointKeys,
    Heartbeat,
    Held,
    PodRemoved,
    PodUid,
    Reason,
    Session,
    SessionId,
    SessionRenewed,
    SnapshotEnd,
    State,
    Update,
)

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEYS = EndpointKeys(bytes(32), "arn:aws:iam::111122223333:role/")
ONE = ip_address("10.0.0.1")
TWO = ip_address("10.0.0.2")


def session(name: str = "s1", key: str = "AKIA1", ends: datetime = START + HOUR) -> Session:
    credentials = Credentials(key, Secret("secret"), Secret("token"), START, ends)
    return Session(SessionId(name), credentials, ends - timedelta(minutes=5))


def granted(uid: str = "u1", address: str = "10.0.0.1", session_id: str = "s1") -> Assignment:
    return Assignment(
        uid=PodUid(uid),
        namespace="shop",
        name=f"pod-{uid}",
        service_account="default",
        addresses=(ip_address(address),),
        state=State.GRANTED,
        role="reader",
        role_arn="arn:aws:iam::111122223333:role/reader",
        session_id=SessionId(session_id),
    )


def without(
    state: State, reason: Reason, uid: str = "u1", address: str = "10.0.0.1", *, host: bool = False
) -> Assignment:
    return Assignment(
        uid=PodUid(uid),
        namespace="shop",
        name=f"pod-{uid}",
        service_account="default",
        addresses=(ip_address(address),),
        state=state,
        reason=reason,
        host_network=host,
    )


def told(cache: Cache, *updates: Update, now: datetime = START) -> frozenset[object]:
    """Apply each update; return every address that may have changed."""
    return frozenset().union(*(cache.apply(update, now) for update in updates))


def synced(*updates: Update) -> Cache:
    cache = Cache()
    cache.begin()
    told(cache, KEYS, *updates, SnapshotEnd())
    return cache


def test_nothing_is_known_before_the_first_snapshot_is_whole() -> None:
    """What a half snapshot said is served to nobody."""
    cache = Cache()
    cache.begin()
    changed = told(cache, KEYS, SessionRenewed(session()), AssignmentUpserted(granted()))

    assert changed == NOTHING
    assert not cache.synced
    assert cache.keys is None
    assert cache.standing(ONE, START) is UNKNOWN


def test_a_whole_snapshot_is_served_at_once() -> None:
    """The end of the snapshot names every address in it."""
    cache = Cache()
    cache.begin()
    told(cache, KEYS, SessionRenewed(session()), AssignmentUpserted(granted()))
    changed = cache.apply(SnapshotEnd(), START)

    assert changed == {ONE}
    assert cache.synced
    assert cache.keys == KEYS
    assert cache.standing(ONE, START) == Granted(granted(), session())


def test_the_old_contents_are_served_until_the_new_snapshot_ends() -> None:
    """A reconnect is invisible; then what the new stream has not named is gone."""
    cache = synced(SessionRenewed(session()), AssignmentUpserted(granted()))
    cache.begin()
    told(cache, KEYS, AssignmentUpserted(without(State.DENIED, Reason.NO_ROLE, "u2", "10.0.0.2")))

    assert isinstance(cache.standing(ONE, START), Granted)
    assert cache.standing(TWO, START) is UNKNOWN

    changed = cache.apply(SnapshotEnd(), START)

    assert changed == {ONE, TWO}
    assert cache.standing(ONE, START) is UNKNOWN
    assert isinstance(cache.standing(TWO, START), Refused)


def test_a_claimed_session_outlives_a_snapshot_that_does_not_resend_it() -> None:
    """The server spares what the node claimed to hold; the node keeps it."""
    cache = synced(SessionRenewed(session()), AssignmentUpserted(granted()))
    cache.begin()
    told(cache, KEYS, AssignmentUpserted(granted()), SnapshotEnd())

    assert cache.standing(ONE, START) == Granted(granted(), session())


def test_a_session_that_the_snapshot_does_not_refer_to_is_dropped() -> None:
    """Neither an old one nor one that was sent for nothing stays."""
    cache = synced(SessionRenewed(session()), AssignmentUpserted(granted()))
    cache.begin()
    told(cache, KEYS, SessionRenewed(session("s2")), SnapshotEnd())

    assert cache.statistics(START).sessions == 0
    assert cache.held(START) == ()


def test_a_second_stream_forgets_the_half_snapshot_of_the_first() -> None:
    """Only what one stream said from its beginning to the end of its snapshot counts."""
    cache = Cache()
    cache.begin()
    told(cache, KEYS, AssignmentUpserted(granted("u9", "10.0.0.9")))
    cache.begin()
    told(cache, KEYS, SnapshotEnd())

    assert cache.standing(ip_address("10.0.0.9"), START) is UNKNOWN


def test_keys_stay_where_a_snapshot_names_none() -> None:
    """Tokens that are out stay good."""
    cache = synced()
    cache.begin()
    told(cache, SnapshotEnd())

    assert cache.keys == KEYS


def test_a_removed_pod_gets_nothing() -> None:
    """From the removal on its address is unknown."""
    cache = synced(SessionRenewed(session()), AssignmentUpserted(granted()))
    changed = cache.apply(PodRemoved(PodUid("u1")), START)

    assert changed == {ONE}
    assert cache.standing(ONE, START) is UNKNOWN
    assert cache.held(START) == ()


def test_a_reused_address_stands_for_nobody_while_two_pods_claim_it() -> None:
    """Whoever asks meanwhile waits; the pod that stays is served once the other is gone."""
    cache = synced(SessionRenewed(session()), AssignmentUpserted(granted()))
    newcomer = without(State.DENIED, Reason.NAMESPACE_FORBIDS, "u2")
    cache.apply(AssignmentUpserted(newcomer), START)

    assert cache.standing(ONE, START) is UNKNOWN

    cache.apply(PodRemoved(PodUid("u1")), START)

    assert cache.standing(ONE, START) == Refused(newcomer)


def test_the_node_s_own_address_is_refused() -> None:
    """Pods on the host network share it; it proves nothing, whatever else claims it."""
    host = without(State.DENIED, Reason.NO_ROLE, "u2", host=True)
    cache = synced(
        SessionRenewed(session()), AssignmentUpserted(granted()), AssignmentUpserted(host)
    )

    assert cache.standing(ONE, START) == Refused(host)


def test_an_address_written_as_mapped_is_the_ipv4_one() -> None:
    """::ffff:a.b.c.d is a.b.c.d, in what the server says and in what the kernel says."""
    cache = synced(AssignmentUpserted(without(State.DENIED, Reason.NO_ROLE)))
    mapped = without(State.DENIED, Reason.NO_ROLE, "u2", "::ffff:10.0.0.2")

    assert isinstance(cache.standing(ip_address("::ffff:10.0.0.1"), START), Refused)
    assert cache.apply(AssignmentUpserted(mapped), START) == {TWO}
    assert cache.standing(TWO, START) == Refused(mapped)


def test_a_renewal_concerns_every_pod_that_shares_the_session() -> None:
    """One message, all its pods."""
    cache = synced(
        SessionRenewed(session()),
        AssignmentUpserted(granted()),
        AssignmentUpserted(granted("u2", "10.0.0.2")),
    )
    fresh = session(key="AKIA2", ends=START + 2 * HOUR)
    changed = cache.apply(SessionRenewed(fresh), START)

    assert changed == {ONE, TWO}
    assert cache.standing(TWO, START) == Granted(granted("u2", "10.0.0.2"), fresh)


def test_credentials_are_served_to_their_true_end_and_no_longer() -> None:
    """Past the reported end they are still good; past the true one the pod waits."""
    cache = synced(SessionRenewed(session()), AssignmentUpserted(granted()))
    last = START + HOUR - timedelta(seconds=1)

    assert isinstance(cache.standing(ONE, last), Granted)
    assert cache.standing(ONE, START + HOUR) == Waiting(granted(), Reason.CREDENTIALS_PENDING)
    assert cache.held(last) == (Held(SessionId("s1"), START + HOUR),)
    assert cache.held(START + HOUR) == ()


def test_what_was_granted_before_is_not_after_a_change() -> None:
    """Whoever asks again gets the session of now, and nothing once the pod is gone."""
    cache = synced(SessionRenewed(session()), AssignmentUpserted(granted()))
    cache.standing(ONE, START)
    fresh = session(key="AKIA2")
    cache.apply(SessionRenewed(fresh), START)
    assert cache.standing(ONE, START) == Granted(granted(), fresh)
    cache.apply(PodRemoved(PodUid("u1")), START)
    assert cache.standing(ONE, START) == UNKNOWN

    cache.apply(AssignmentUpserted(granted()), START)
    cache.standing(ONE, START)
    cache.begin()
    cache.apply(SnapshotEnd(), START)
    assert cache.standing(ONE, START) == UNKNOWN


def test_a_granted_pod_whose_session_never_came_waits() -> None:
    """It is counted as missing, so that somebody can see it."""
    cache = synced(AssignmentUpserted(granted()))

    assert cache.standing(ONE, START) == Waiting(granted(), Reason.CREDENTIALS_PENDING)
    assert cache.statistics(START).missing == 1


def test_pending_waits_and_failed_is_refused() -> None:
    """STS's no is answered at once; what is on its way is waited for."""
    pending = without(State.PENDING, Reason.STS_UNREACHABLE)
    failed = without(State.FAILED, Reason.ACCESS_DENIED, "u2", "10.0.0.2")
    cache = synced(AssignmentUpserted(pending), AssignmentUpserted(failed))

    assert cache.standing(ONE, START) == Waiting(pending, Reason.STS_UNREACHABLE)
    assert cache.standing(TWO, START) == Refused(failed)


def test_a_session_survives_the_order_of_one_batch() -> None:
    """The old pod may be named before the new one that shares its session."""
    cache = synced(SessionRenewed(session()), AssignmentUpserted(granted()))
    told(cache, PodRemoved(PodUid("u1")), AssignmentUpserted(granted("u2", "10.0.0.2")))

    assert isinstance(cache.standing(TWO, START), Granted)


def test_a_session_that_nobody_uses_is_forgotten_soon() -> None:
    """No secret outlives its last pod by more than half a minute."""
    cache = synced(SessionRenewed(session()), AssignmentUpserted(granted()))
    cache.apply(PodRemoved(PodUid("u1")), START)
    cache.apply(Heartbeat(START + LINGER), START + LINGER)

    assert cache.statistics(START).sessions == 0


def test_a_session_that_is_sent_again_lingers_again() -> None:
    """It was about to be forgotten; whoever sends it names a pod of it next."""
    cache = synced(SessionRenewed(session()), AssignmentUpserted(granted()))
    told(cache, PodRemoved(PodUid("u1")))
    later = START + LINGER
    told(cache, SessionRenewed(session()), AssignmentUpserted(granted("u2", "10.0.0.2")), now=later)

    assert isinstance(cache.standing(TWO, later), Granted)


def test_a_pod_that_changes_its_address_leaves_the_old_one() -> None:
    """Both addresses have another answer now."""
    cache = synced(SessionRenewed(session()), AssignmentUpserted(granted()))
    changed = cache.apply(AssignmentUpserted(granted(address="10.0.0.2")), START)

    assert changed == {ONE, TWO}
    assert cache.standing(ONE, START) is UNKNOWN


def test_what_says_nothing_new_changes_nothing() -> None:
    """The generation counts changes, not messages."""
    cache = synced(SessionRenewed(session()), AssignmentUpserted(granted()))
    before = cache.generation
    changed = told(
        cache,
        SessionRenewed(session()),
        AssignmentUpserted(granted()),
        PodRemoved(PodUid("nobody")),
        Heartbeat(START),
        SnapshotEnd(),
    )

    assert changed == NOTHING
    assert cache.generation == before


def test_new_keys_are_a_change() -> None:
    """An endpoint that remembers a checked token must ask again."""
    cache = synced()
    before = cache.generation
    cache.apply(EndpointKeys(bytes(range(32))), START)

    assert cache.generation > before


def test_statistics_count_states_and_nearest_ends() -> None:
    """They are what an operator's page shows."""
    cache = synced(
        SessionRenewed(session(ends=START + timedelta(minutes=14))),
        AssignmentUpserted(granted()),
        AssignmentUpserted(without(State.DENIED, Reason.NO_ROLE, "u2", "10.0.0.2")),
    )
    statistics = cache.statistics(START)

    assert statistics.pods == {
        (State.GRANTED, None): 1,
        (State.DENIED, Reason.NO_ROLE): 1,
    }
    assert statistics.least_remaining == timedelta(minutes=9)
    assert statistics.ending == {timedelta(minutes=5): 0, timedelta(minutes=10): 1}
    assert statistics.snapshot_at == START


_uids = st.sampled_from(["u1", "u2", "u3"])
_hosts = st.sampled_from(["10.0.0.1", "10.0.0.2"])
_sessions = st.sampled_from(["s1", "s2"])
_updates = st.one_of(
    st.builds(lambda u, a, s: AssignmentUpserted(granted(u, a, s)), _uids, _hosts, _sessions),
    st.builds(lambda u: PodRemoved(PodUid(u)), _uids),
    st.builds(lambda s: SessionRenewed(session(s)), _sessions),
    st.just(SnapshotEnd()),
)


@given(st.lists(_updates | st.none(), max_size=40))
def test_an_address_never_gets_more_than_its_only_claimant_may_have(
    steps: list[Update | None],
) -> None:
    """In every order of changes and streams, the tables agree with what was said last."""
    cache = synced()
    live: dict[str, Assignment] = {}
    staged: dict[str, Assignment] | None = None
    for step in steps:
        if step is None:
            cache.begin()
            staged = {}
            continue
        cache.apply(step, START)
        said = live if staged is None else staged
        match step:
            case AssignmentUpserted(assignment):
                said[assignment.uid] = assignment
            case PodRemoved(uid):
                said.pop(uid, None)
            case SnapshotEnd() if staged is not None:
                live, staged = staged, None
        for address in (ONE, TWO):
            claimants = [each for each in live.values() if address in each.addresses]
            standing = cache.standing(address, START)
            if len(claimants) != 1:
                assert standing is UNKNOWN
            else:
                assert isinstance(standing, Granted | Waiting)
                assert standing.assignment == claimants[0]
