"""No storm of one namespace or account costs another its credentials."""

from datetime import timedelta

from fakes.engine import HOUR, Engine, pod
from rolecall_server.credentials.rate_limiter import RateLimits
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import ThrottledError
from rolecall_server.model.pods import Namespace
from rolecall_server.model.source import NamespaceChanged, PodChanged

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LIMITS = RateLimits(calls_per_second=1, burst=3)
# Of the true end: pods are told one that is five minutes earlier, and never less than ten more.
LEAST_LEFT = 15 * MINUTE


def role_of(identity: Identity) -> str:
    return identity.role_arn.rpartition("/")[2]


def quiet_and_storm(quiet: int, *storms: str) -> Engine:
    """Return an engine in which *quiet* pods of namespace `team` have their sessions."""
    engine = Engine(limits=LIMITS)
    for name in storms:
        engine.apply(NamespaceChanged(Namespace(name, permitted=".*")))
    engine.list_pods(*(pod(f"quiet-{n}", f"quiet-{n}") for n in range(quiet)))
    engine.connect()
    answer_for(engine, MINUTE)
    assert len(engine.calls) == quiet
    return engine


def answer_for(engine: Engine, duration: timedelta) -> None:
    """Have STS answer whatever is due, until *duration* has passed."""
    end = engine.now + duration
    while True:
        engine.issue()
        moment = engine.broker.next_moment(engine.now)
        if moment is None or moment > end:
            break
        engine.now = moment
    engine.now = end


def test_a_storm_of_new_roles_leaves_every_renewal_its_time() -> None:
    """Roles of other namespaces change faster than STS may be asked, for 75 minutes."""
    engine = quiet_and_storm(30, "storm-0", "storm-1", "storm-2")
    least = HOUR
    for step in range(75 * 6):
        for n in range(13):  # 1.3 times what may be asked in ten seconds.
            namespace, name = f"storm-{n % 3}", f"storm-{n}"
            role = f"made-up-{step}-{n}"
            engine.apply(PodChanged(pod(name, role, uid=f"uid-{name}", namespace=namespace)))
        answer_for(engine, 10 * SECOND)
        if step % 6:
            continue
        states = engine.broker._store.states.values()  # noqa: SLF001 (the least there is left)
        ends = [each.first_end() for each in states if role_of(each.identity).startswith("quiet")]
        assert len(ends) == 30
        least = min(least, *(end - engine.now for end in ends if end is not None))

    assert least >= LEAST_LEFT


def test_a_new_pod_of_a_quiet_namespace_is_not_kept_waiting_by_a_storm() -> None:
    """It has its turn after one of the storm's, not after all."""
    engine = quiet_and_storm(1, "storm")
    for n in range(1000):
        engine.apply(PodChanged(pod(f"storm-{n}", f"storm-{n}", namespace="storm")))
    engine.issue()
    engine.apply(PodChanged(pod("late", "late")))
    before = len(engine.calls)
    answer_for(engine, 3 * SECOND)

    assert "late" in [role_of(each) for each in engine.calls[before:]][:2]


def test_a_throttled_role_holds_up_nobody() -> None:
    """Neither those of other accounts nor those of its own."""
    engine = Engine(limits=LIMITS)
    bad = "arn:aws:iam::444455556666:role/bad"
    engine.connect()
    engine.apply(PodChanged(pod("bad", bad)))
    engine.advance(SECOND)
    for n in range(40):
        engine.apply(PodChanged(pod(f"p{n}", f"good-{n}")))
    end = engine.now + MINUTE
    while engine.now < end:
        for identity in engine.due():
            if identity.role_arn == bad:
                engine.fail(ThrottledError("slower"), identity)
            else:
                engine.issue(identity)
        engine.advance_to_next()

    calls = [each.role_arn == bad for each in engine.calls]
    assert calls.count(False) == 40
    assert 3 <= calls.count(True) <= 10


def test_a_throttled_account_is_served_as_fast_as_it_allows() -> None:
    """And every role of it comes to its turn, though each backs off."""
    engine = Engine(limits=LIMITS)
    engine.list_pods(*(pod(f"p{n}", f"role-{n}") for n in range(40)))
    engine.connect()
    start, answered = engine.now, set[str]()
    last = start - SECOND
    while len(answered) < 40:
        for identity in engine.due():
            if engine.now - last >= 2 * SECOND:  # What this account allows.
                last = engine.now
                answered.add(identity.role_arn)
                engine.issue(identity)
            else:
                engine.fail(ThrottledError("slower"), identity)
        engine.advance_to_next()

    assert last - start < 5 * MINUTE
