"""What an agent does that is told to end: who else answers its pods, and which are left."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from fakes.clock import START, FakeClock
from fakes.endpoint_rig import KEYS, LIMIT, known, pod
from rolecall_agent.process.departure import Departure
from rolecall_agent.store.cache import Cache
from rolecall_common.admin_http import Readiness
from rolecall_proto.values import (
    AssignmentUpserted,
    PodRemoved,
    PodUid,
    Reason,
    SnapshotEnd,
    State,
    Update,
)

SECOND = timedelta(seconds=1)
GRACE = timedelta(seconds=30)
READY = Readiness(ready=True)


class BugError(Exception):
    """What nobody expects."""


class Leaving:
    """An agent whose loops run until a bug, with the pods that a test gives it."""

    def __init__(self) -> None:
        self.clock, self.cache = FakeClock(), Cache()
        self.superseded = False
        self.departure = Departure(GRACE, self.clock, self.cache, lambda: self.superseded)
        self.told_to_leave = asyncio.Event()
        self.bug = asyncio.Event()
        self.clients_gone = asyncio.Event()
        self.clients_gone.set()

    def tell(self, *updates: Update) -> None:
        for update in updates:
            self.cache.apply(update, self.clock.now())

    def leave(self) -> None:
        self.told_to_leave.set()

    async def finished(self) -> None:
        await self.clients_gone.wait()

    async def meet_bug(self) -> None:
        await self.bug.wait()
        raise BugError


@contextlib.asynccontextmanager
async def told_to_end(
    leaving: Leaving, drain: timedelta = timedelta()
) -> AsyncGenerator["asyncio.Task[None]"]:
    """Run it, and tell it to end; it has come as far as it can without time."""
    task = asyncio.create_task(
        leaving.departure.run({"meet a bug": leaving.meet_bug()}, leaving, drain)
    )
    async with asyncio.timeout(LIMIT):
        await asyncio.sleep(0)
        task.cancel()
        await leaving.told_to_leave.wait()
        yield task
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
def leaving() -> Leaving:
    leaving = Leaving()
    leaving.tell(KEYS, *known(pod("10.0.0.1"), pod("10.0.0.2")), SnapshotEnd())
    return leaving


async def ended(task: "asyncio.Task[None]") -> bool:
    await asyncio.wait([task])
    return task.cancelled()


async def test_it_answers_on_until_no_pod_is_left(leaving: Leaving) -> None:
    """Its stream goes on, and tells it of each that goes."""
    async with told_to_end(leaving) as task:
        await leaving.clock.asleep_until(START + SECOND)
        leaving.tell(PodRemoved(PodUid("uid-10.0.0.1")))
        leaving.clock.advance(SECOND)
        await leaving.clock.asleep_until(START + 2 * SECOND)
        still = not task.done()
        leaving.tell(PodRemoved(PodUid("uid-10.0.0.2")))
        leaving.clock.advance(SECOND)

        assert still
        assert await ended(task)


async def test_it_answers_on_until_its_grace_is_over(leaving: Leaving) -> None:
    """Pods of a DaemonSet stay to the end, and the kubelet does not wait for ever."""
    async with told_to_end(leaving) as task:
        for passed in range(1, 31):
            await leaving.clock.asleep_until(START + passed * SECOND)
            assert not task.done()
            leaving.clock.advance(SECOND)

        assert await ended(task)


async def test_it_ends_where_another_agent_has_taken_its_place(leaving: Leaving) -> None:
    """As in every upgrade: the successor was there before anybody told this one to end."""
    leaving.superseded = True
    async with told_to_end(leaving) as task:
        assert await ended(task)


async def test_it_ends_as_soon_as_another_agent_takes_its_place(leaving: Leaving) -> None:
    """Whether there is one is looked at again and again."""
    async with told_to_end(leaving) as task:
        await leaving.clock.asleep_until(START + SECOND)
        leaving.superseded = True
        leaving.clock.advance(SECOND)

        assert await ended(task)


async def test_it_does_not_wait_for_pods_that_get_nothing() -> None:
    """Neither for those that it refuses, nor where no server has told it of any."""
    denied, unknown = Leaving(), Leaving()
    refused = pod("10.0.0.1", State.DENIED, Reason.NO_ROLE)
    denied.tell(KEYS, AssignmentUpserted(refused), SnapshotEnd())
    for leaving in (denied, unknown):
        async with told_to_end(leaving) as task:
            assert await ended(task)


async def test_what_is_connected_finishes_first(leaving: Leaving) -> None:
    """For so long at the most, as in every upgrade."""
    leaving.superseded = True
    leaving.clients_gone.clear()
    async with told_to_end(leaving, timedelta(seconds=LIMIT)) as task:
        await asyncio.sleep(0)
        still = not task.done()
        leaving.clients_gone.set()

        assert still
        assert await ended(task)


async def test_a_second_signal_ends_it_at_once(leaving: Leaving) -> None:
    """Whoever is in a hurry says it twice."""
    async with told_to_end(leaving) as task:
        await leaving.clock.asleep_until(START + SECOND)
        task.cancel()

        assert await ended(task)


async def test_a_bug_meanwhile_ends_it(leaving: Leaving) -> None:
    """As a bug ends any run, and with its name."""
    async with told_to_end(leaving) as task:
        await leaving.clock.asleep_until(START + SECOND)
        leaving.bug.set()
        await asyncio.wait([task])

        with pytest.raises(ExceptionGroup) as caught:
            task.result()
    assert [type(each) for each in caught.value.exceptions] == [BugError]


async def test_who_leaves_is_not_ready(leaving: Leaving) -> None:
    """And says why, before whatever else there is to say."""
    before = leaving.departure.readiness(READY)
    async with told_to_end(leaving):
        after = leaving.departure.readiness(Readiness(ready=True, lines=("more",)))

    assert before == READY
    assert not after.ready
    assert after.lines == ("told to end; who asks is still answered", "more")
