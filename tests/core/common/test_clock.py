"""The test clock keeps its word, and the machine's clock does the same by other means."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from fakes.clock import START, FakeClock
from rolecall_common.clock import Clock, SystemClock

SECOND = timedelta(seconds=1)


async def test_a_sleeper_wakes_when_its_time_has_come_and_not_before() -> None:
    """Time moves only by the test's hand."""
    clock = FakeClock()
    async with asyncio.TaskGroup() as tasks:
        sleeper = tasks.create_task(clock.sleep(10 * SECOND))
        await clock.asleep()

        clock.advance(9 * SECOND)
        await asyncio.sleep(0)
        assert not sleeper.done()

        clock.advance(SECOND)
    assert clock.now() == START + 10 * SECOND


async def test_asleep_waits_for_as_many_tasks_as_it_is_told() -> None:
    """A test can wait until everyone is where it wants them."""
    clock = FakeClock()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(clock.asleep(2))
        tasks.create_task(clock.sleep(SECOND))
        await clock.asleep(1)
        assert not waiting.done()
        tasks.create_task(clock.sleep(2 * SECOND))
        await waiting
        assert clock.next_wake == START + SECOND
        clock.advance(2 * SECOND)
    assert clock.sleepers == 0


async def test_a_test_can_wait_for_a_sleeper_of_a_given_moment() -> None:
    """`asleep_until` tells a retry's sleep from a heartbeat's."""
    clock = FakeClock()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(clock.sleep(SECOND))
        waiting = tasks.create_task(clock.asleep_until(START + 5 * SECOND))
        await clock.asleep()
        assert not waiting.done()
        tasks.create_task(clock.sleep(5 * SECOND))
        await waiting
        clock.advance_to(START + 5 * SECOND)


async def test_a_cancelled_sleeper_leaves_the_clock() -> None:
    """Nobody is counted as asleep who is gone."""
    clock = FakeClock()
    sleeper = asyncio.ensure_future(clock.sleep(SECOND))
    await clock.asleep()
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper
    assert clock.sleepers == 0


@pytest.mark.parametrize("clock", [FakeClock(), SystemClock()], ids=["fake", "system"])
async def test_an_event_that_is_set_ends_the_wait(clock: Clock) -> None:
    """Waiting for an event without a moment ends with the event alone."""
    event = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(clock.wait_until(event, None))
        event.set()
    assert waiting.result()


@pytest.mark.parametrize("clock", [FakeClock(), SystemClock()], ids=["fake", "system"])
async def test_a_moment_in_the_past_ends_the_wait_at_once(clock: Clock) -> None:
    """The answer is the event's state, whatever the moment."""
    event = asyncio.Event()
    assert not await clock.wait_until(event, clock.now() - SECOND)
    event.set()
    assert await clock.wait_until(event, clock.now() - SECOND)


@pytest.mark.parametrize("clock", [FakeClock(), SystemClock()], ids=["fake", "system"])
async def test_no_duration_is_no_sleep(clock: Clock) -> None:
    """A negative duration is a moment that has passed."""
    await clock.sleep(timedelta())
    await clock.sleep(-SECOND)


async def test_a_moment_ends_the_wait_for_an_event_that_does_not_come() -> None:
    """The fake clock's wait is bounded by its own time."""
    clock = FakeClock()
    event = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(clock.wait_until(event, START + SECOND))
        await clock.asleep()
        clock.advance(SECOND)
    assert not waiting.result()
    assert clock.sleepers == 0


async def test_an_event_ends_a_bounded_wait_before_its_moment() -> None:
    """State wins over time."""
    clock = FakeClock()
    event = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(clock.wait_until(event, START + SECOND))
        await clock.asleep()
        event.set()
    assert waiting.result()
    assert clock.now() == START


async def test_a_clock_that_is_set_back_wakes_who_sleeps_no_later() -> None:
    """The test's clock does as the machine's: sleepers have their pause and no more."""
    clock = FakeClock()
    async with asyncio.TaskGroup() as tasks:
        sleeper = tasks.create_task(clock.sleep(10 * SECOND))
        await clock.asleep()
        clock.set_back(timedelta(hours=1))
        assert clock.now() == START - timedelta(hours=1)
        clock.advance(9 * SECOND)
        await asyncio.sleep(0)
        assert not sleeper.done()
        clock.advance(SECOND)


def test_time_does_not_run_backwards() -> None:
    """A test that asks for it is wrong."""
    with pytest.raises(ValueError, match="backwards"):
        FakeClock().advance(-SECOND)


def test_a_naive_start_is_refused() -> None:
    """A clock without a zone would compare with nothing."""
    with pytest.raises(ValueError, match="aware"):
        FakeClock(datetime(2030, 1, 1))  # noqa: DTZ001 - the naive time is the point


def test_the_system_clock_is_aware_and_in_utc() -> None:
    """Its times compare with those of AWS and Kubernetes."""
    assert SystemClock().now().tzinfo is UTC


class SetClock(SystemClock):
    """The machine's time, set forward or back by hand."""

    def __init__(self) -> None:
        super().__init__(look_every=timedelta(milliseconds=1))
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


async def test_a_clock_that_is_set_forward_ends_what_has_passed() -> None:
    """A machine that was suspended renews what is due at once, not after the rest of its sleep."""
    clock, never = SetClock(), asyncio.Event()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(clock.wait_until(never, clock.now() + timedelta(hours=1)))
        tasks.create_task(clock.sleep(timedelta(hours=1)))
        await asyncio.sleep(0)
        clock.ahead = timedelta(hours=2)

    assert not waiting.result()


async def test_a_clock_that_is_set_back_prolongs_no_wait() -> None:
    """A pause of a moment stays one, and so does the wait for a moment that was near."""
    clock, never = SetClock(), asyncio.Event()
    pause = timedelta(milliseconds=5)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(clock.sleep(pause))
        waiting = tasks.create_task(clock.wait_until(never, clock.now() + pause))
        await asyncio.sleep(0)
        clock.ahead = timedelta(hours=-2)

    assert not waiting.result()


async def test_an_event_ends_a_wait_between_two_looks_at_the_clock() -> None:
    """However far the moment is."""
    clock, event = SetClock(), asyncio.Event()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(clock.wait_until(event, clock.now() + timedelta(hours=1)))
        await clock.sleep(timedelta(milliseconds=3))
        assert not waiting.done()
        event.set()

    assert waiting.result()
