"""The loop that issues: what is due is asked for at once, and no answer stops it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.clock import FakeClock
from fakes.engine import NODE, Engine, at, issued, pod
from rolecall_proto.values import Reason
from rolecall_server.credentials.rate_limiter import RateLimits
from rolecall_server.engine.issue_loop import IssueLoop
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import Issued, RefusedError, ThrottledError, UnavailableError
from rolecall_server.telemetry.metrics import Metrics


class ScriptedSts:
    """An issuer that answers when the test says so, and what the test says."""

    def __init__(self, clock: FakeClock) -> None:
        self.asked: list[str] = []
        self.overlaps = 0  # Calls for a role while another one for it was under way.
        self.answers: dict[str, asyncio.Future[Issued]] = {}
        self.changed = asyncio.Condition()
        self._clock = clock

    async def issue(self, identity: Identity) -> Issued:
        role = identity.role_arn.rpartition("/")[2]
        self.overlaps += role in self.answers and not self.answers[role].done()
        answer = self.answers[role] = asyncio.get_running_loop().create_future()
        async with self.changed:
            self.asked.append(role)
            self.changed.notify_all()
        return await answer

    async def wait_asked(self, *roles: str) -> None:
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(lambda: self.asked == list(roles))

    def give(self, role: str, number: int = 1) -> None:
        self.answers[role].set_result(issued(number, self._clock.now()))

    def fail(self, role: str, error: Exception) -> None:
        self.answers[role].set_exception(error)


class Rig:
    """A broker with one connected node, and the loop that issues what is due."""

    def __init__(self, limits: RateLimits | None = None) -> None:
        self.clock = FakeClock()
        self.engine = Engine(limits=limits)
        self.sts = ScriptedSts(self.clock)
        self.metrics = Metrics()
        self.loop = IssueLoop(self.engine.broker, self.sts, self.clock, self.metrics)
        self.node = self.engine.connect(NODE)

    async def pass_time(self, by: timedelta) -> None:
        """Let time go on, for the loop and for whoever tells the broker of changes."""
        self.clock.advance(by)
        self.engine.now = self.clock.now()
        await settled()


@contextlib.asynccontextmanager
async def running(rig: Rig) -> AsyncGenerator[Rig]:
    """Run the loop of *rig* while the block runs."""
    loop = asyncio.create_task(rig.loop.run())
    try:
        yield rig
    finally:
        loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loop


@pytest.fixture
async def rig() -> AsyncGenerator[Rig]:
    """Run the loop while the test runs."""
    async with running(Rig()) as rig:
        yield rig


async def settled() -> None:
    """Return once every task that can go on has gone on, as far as it gets."""
    for _ in range(20):
        await asyncio.sleep(0)


def with_roles(rig: Rig, *roles: str) -> None:
    rig.engine.list_pods(*(pod(role, role) for role in roles))


async def test_every_new_role_is_asked_for_at_once_and_once(rig: Rig) -> None:
    """Two pods of one role are one call, and roles do not wait for each other."""
    rig.engine.list_pods(pod("one", "reader"), pod("two", "reader"), pod("three", "writer"))

    await rig.sts.wait_asked("reader", "writer")


async def test_a_bug_around_one_identity_harms_no_other(rig: Rig) -> None:
    """It is counted and refused, its neighbour is served, and the loop goes on."""
    with_roles(rig, "reader", "writer")
    await rig.sts.wait_asked("reader", "writer")
    rig.sts.fail("reader", ZeroDivisionError("nobody foresaw this"))
    rig.sts.give("writer")
    with_roles(rig, "reader", "writer", "third")
    await rig.sts.wait_asked("reader", "writer", "third")

    assert rig.metrics.bugs.value("issue") == 1
    assert rig.engine.journal.about("failed") == [("team.app", RefusedError)]
    assert rig.engine.journal.about("refused")[0][1] is Reason.BUG
    assert len(rig.engine.journal.about("issued")) == 1


async def test_a_call_that_is_cancelled_from_below_is_a_bug_and_not_forgotten(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """A task group is silent about such a child: its identity would stay in flight for ever."""
    with_roles(rig, "reader", "writer")
    await rig.sts.wait_asked("reader", "writer")
    rig.sts.answers["reader"].cancel()
    rig.sts.give("writer")
    await settled()

    assert rig.metrics.bugs.value("issue") == 1
    assert rig.engine.journal.about("failed") == [("team.app", RefusedError)]
    assert "CancelledError" in caplog.text
    await rig.pass_time(timedelta(seconds=3))
    await rig.sts.wait_asked("reader", "writer", "reader")


async def test_a_bug_keeps_its_traceback(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever has to mend it needs all of it; the pod's owner is told where to ask."""
    with_roles(rig, "reader")
    await rig.sts.wait_asked("reader")
    rig.sts.fail("reader", ZeroDivisionError("nobody foresaw this"))
    await settled()

    assert "ZeroDivisionError: nobody foresaw this" in caplog.text
    assert rig.engine.journal.about("refused") == [
        ("reader", Reason.BUG, "an unforeseen error; the server's log has its traceback")
    ]


async def test_what_a_request_waits_for_is_asked_first() -> None:
    """Where the rate is low, new roles come after the one that somebody waits for."""
    async with running(Rig(RateLimits(calls_per_second=1, burst=1, concurrency=1))) as rig:
        rig.engine.list_pods(
            pod("one", "first", addresses=at("10.0.0.1")),
            pod("two", "second", addresses=at("10.0.0.2")),
            pod("three", "third", addresses=at("10.0.0.3")),
        )
        await rig.sts.wait_asked("first")
        rig.engine.broker.resolve(NODE, at("10.0.0.3")[0], rig.clock.now())
        for role in ("first", "third", "second"):
            rig.sts.give(role)
            await settled()
            await rig.pass_time(timedelta(seconds=2))

        await rig.sts.wait_asked("first", "third", "second")


async def test_no_more_calls_are_under_way_than_the_rate_limiter_allows() -> None:
    """The rest waits for an answer, and not for a clock."""
    roles = [f"role-{number}" for number in range(7)]
    async with running(Rig(RateLimits(concurrency=3))) as rig:
        with_roles(rig, *roles)
        await settled()
        assert len(rig.sts.asked) == 3
        for role in roles:
            rig.sts.give(role)
            await settled()

    assert sorted(rig.sts.asked) == roles


async def test_sessions_are_renewed_by_themselves(rig: Rig) -> None:
    """At 40 to 48 % of their life, as long as somebody needs them."""
    with_roles(rig, "reader")
    await rig.sts.wait_asked("reader")
    rig.sts.give("reader")
    await settled()
    await rig.pass_time(timedelta(minutes=23))
    await rig.sts.wait_asked("reader")
    await rig.pass_time(timedelta(minutes=6))

    await rig.sts.wait_asked("reader", "reader")


async def test_a_role_forgotten_in_flight_stays_forgotten(rig: Rig) -> None:
    """A late answer for a pod that is gone brings nothing back."""
    with_roles(rig, "reader")
    await rig.sts.wait_asked("reader")
    with_roles(rig)
    rig.sts.give("reader")
    await settled()
    await rig.pass_time(timedelta(hours=1))

    assert rig.sts.asked == ["reader"]
    assert rig.engine.broker.statistics(rig.clock.now()).in_flight == 0


async def test_what_sts_could_not_say_is_asked_again(rig: Rig) -> None:
    """After a pause, by itself: nobody needs to give a signal."""
    with_roles(rig, "reader")
    await rig.sts.wait_asked("reader")
    rig.sts.fail("reader", UnavailableError("no answer"))
    await rig.clock.asleep()
    rig.clock.advance(timedelta(seconds=1))

    await rig.sts.wait_asked("reader", "reader")


async def test_the_end_of_the_loop_ends_its_calls() -> None:
    """No call outlives the process that wanted it."""
    rig = Rig()
    running = asyncio.create_task(rig.loop.run())
    with_roles(rig, "reader")
    await rig.sts.wait_asked("reader")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert rig.sts.answers["reader"].cancelled()


OPERATIONS = (
    "want",
    "forget",
    "give",
    "refuse",
    "fail",
    "throttle",
    "bug",
    "cancel",
    "wait",
    "long",
)
ROLES = ("reader", "writer", "third")


class Story:
    """A run of operations in the order that a test chose, and what must hold after each."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.wanted: set[str] = set()
        self.bugs = 0

    async def do(self, operation: str, role: str) -> None:
        match operation:
            case "want" | "forget":
                self.wanted = self.wanted | {role} if operation == "want" else self.wanted - {role}
                with_roles(self.rig, *sorted(self.wanted))
            case "wait" | "long":
                minutes = 1 if operation == "wait" else 31
                await self.rig.pass_time(timedelta(minutes=minutes))
            case _ if role in self.under_way():
                self._answer(operation, role)
        await settled()
        self._check()

    def under_way(self) -> list[str]:
        return [role for role, answer in self.rig.sts.answers.items() if not answer.done()]

    def _answer(self, operation: str, role: str) -> None:
        errors: dict[str, Exception] = {
            "refuse": RefusedError(Reason.ACCESS_DENIED, "no trust"),
            "fail": UnavailableError("no answer"),
            "throttle": ThrottledError("slower"),
            "bug": ZeroDivisionError("nobody foresaw this"),
        }
        self.bugs += operation in ("bug", "cancel")
        if operation == "give":
            self.rig.sts.give(role)
        elif operation == "cancel":
            self.rig.sts.answers[role].cancel()
        else:
            self.rig.sts.fail(role, errors[operation])

    def _check(self) -> None:
        statistics = self.rig.engine.broker.statistics(self.rig.clock.now())
        assert statistics.in_flight == len(self.under_way()), "in flight is what STS was asked"
        assert self.rig.sts.overlaps == 0, "an identity is asked for once at a time"
        assert self.rig.metrics.bugs.value("issue") == self.bugs


@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.sampled_from(ROLES)), max_size=30))
@settings(max_examples=60, deadline=None)
def test_whatever_sts_does_the_loop_goes_on_and_asks_once_at_a_time(
    operations: list[tuple[str, str]],
) -> None:
    """In any order of wishes, answers, errors and bugs; in the end everyone has a session."""

    async def tell() -> None:
        story = Story()
        async with running(story.rig):
            for operation, role in operations:
                await story.do(operation, role)
            for role in ROLES:
                await story.do("want", role)
            for _ in range(4):
                await story.do("long", "")  # Longer than any back-off, and past each renewal.
                for role in ROLES:
                    await story.do("give", role)
        sessions = story.rig.engine.broker.statistics(story.rig.clock.now()).sessions
        assert sessions == len(ROLES)

    asyncio.run(tell())


@given(turns=st.integers(0, 40), answered=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_an_end_at_any_moment_leaves_the_broker_as_it_was_told(turns: int, answered: int) -> None:
    """What was issued is held, what was not stays in flight, and nothing is told twice or half."""

    async def tell() -> None:
        rig = Rig()
        loop = asyncio.create_task(rig.loop.run())
        with_roles(rig, *ROLES)
        await settled()
        for role in ROLES[:answered]:
            rig.sts.give(role)
        for _ in range(turns):
            await asyncio.sleep(0)
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop
        statistics = rig.engine.broker.statistics(rig.clock.now())

        assert statistics.sessions + statistics.in_flight == len(ROLES)
        assert statistics.sessions == len(rig.engine.journal.about("issued"))
        assert rig.engine.journal.about("failed") == []
        assert rig.metrics.bugs.value("issue") == 0
        assert rig.engine.broker.due(rig.clock.now()) == []

    asyncio.run(tell())
