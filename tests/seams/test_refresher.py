"""The loop that issues: what is due is asked for at once, and no answer stops it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from fakes.clock import FakeClock
from fakes.engine import NODE, Engine, issued, pod
from rolecall_proto.values import Reason
from rolecall_server.identity import Identity
from rolecall_server.issuer import Issued, RefusedError, UnavailableError
from rolecall_server.metrics import Metrics
from rolecall_server.refresher import Refresher


class ScriptedSts:
    """An issuer that answers when the test says so, and what the test says."""

    def __init__(self, clock: FakeClock) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, asyncio.Future[Issued]] = {}
        self.changed = asyncio.Condition()
        self._clock = clock

    async def issue(self, identity: Identity) -> Issued:
        role = identity.role_arn.rpartition("/")[2]
        answer = self.answers[role] = asyncio.get_running_loop().create_future()
        async with self.changed:
            self.asked.append(role)
            self.changed.notify_all()
        return await answer

    async def wait_asked(self, *roles: str) -> None:
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(lambda: self.asked == list(roles))

    def give(self, role: str, number: int = 1) -> None:
        self.answers[role].set_result(issued(number, self._clock.now()))

    def fail(self, role: str, error: Exception) -> None:
        self.answers[role].set_exception(error)


class Rig:
    """A broker with one connected node, and the loop that acts on its schedule."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.engine = Engine()
        self.sts = ScriptedSts(self.clock)
        self.metrics = Metrics()
        self.refresher = Refresher(self.engine.broker, self.sts, self.clock, self.metrics)
        self.node = self.engine.connect(NODE)


@pytest.fixture
async def rig() -> AsyncGenerator[Rig]:
    """Run the loop while the test runs."""
    rig = Rig()
    running = asyncio.create_task(rig.refresher.run())
    yield rig
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


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
    running = asyncio.create_task(rig.refresher.run())
    with_roles(rig, "reader")
    await rig.sts.wait_asked("reader")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert rig.sts.answers["reader"].cancelled()
