"""A clock that moves only when a test says so."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

# Any moment will do, as long as no test depends on which.
START = datetime(2030, 1, 1, tzinfo=UTC)


class FakeClock:
    """A `rolecall_common.clock.Clock` in a test's hand.

    Whoever sleeps on it is woken by `advance` and by nothing else. `asleep` is how a test waits
    until the code under test has got there: no test ever sleeps to be on the safe side.
    """

    def __init__(self, start: datetime = START) -> None:
        """Start at *start*; raises ValueError where it is naive, for such a clock lies one day."""
        if start.tzinfo is None:
            raise ValueError(f"a clock starts at an aware time, not at {start!r}")
        self._now = start.astimezone(UTC)
        self._sleepers: dict[asyncio.Future[None], datetime | None] = {}
        self._watchers: dict[asyncio.Future[None], Callable[[], bool]] = {}

    def now(self) -> datetime:
        return self._now

    @property
    def sleepers(self) -> int:
        """How many tasks are asleep now."""
        return len(self._sleepers)

    @property
    def next_wake(self) -> datetime | None:
        """The earliest moment that anyone sleeps until; None where nobody waits for a moment."""
        return min((due for due in self._sleepers.values() if due is not None), default=None)

    def advance(self, by: timedelta) -> None:
        """Move time on and wake who is due; they run when the test next awaits."""
        if by < timedelta():
            raise ValueError(f"time does not run backwards, so not by {by}")
        self._now += by
        for sleeper, due in list(self._sleepers.items()):
            if due is not None and due <= self._now:
                self._wake(sleeper)

    def set_back(self, by: timedelta) -> None:
        """Have it be earlier: who sleeps has its pause all the same, as on the machine's clock."""
        self._now -= by
        for sleeper, due in self._sleepers.items():
            self._sleepers[sleeper] = due and due - by

    def advance_to(self, moment: datetime) -> None:
        """Move time on to *moment*; raises ValueError where that is in the past."""
        self.advance(moment - self._now)

    async def sleep(self, duration: timedelta) -> None:
        if duration > timedelta():
            await self._asleep_until(self._now + duration)
        else:
            await asyncio.sleep(0)  # As asyncio's own: even no time at all lets others run.

    async def wait_until(self, event: asyncio.Event, moment: datetime | None) -> bool:
        if event.is_set() or (moment is not None and moment <= self._now):
            await asyncio.sleep(0)
            return event.is_set()
        woken = asyncio.ensure_future(event.wait())
        # The alarm is registered before anything is awaited: `sleepers` is true at once.
        alarm = self._add(moment)
        try:
            await asyncio.wait((woken, alarm), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            self._sleepers.pop(alarm, None)
        return event.is_set()

    async def asleep(self, n: int = 1) -> None:
        """Return once *n* or more tasks are asleep on this clock."""
        await self._once(lambda: len(self._sleepers) >= n)

    async def asleep_until(self, moment: datetime) -> None:
        """Return once some task sleeps until exactly *moment*."""
        await self._once(lambda: moment in self._sleepers.values())

    async def _once(self, condition: Callable[[], bool]) -> None:
        # Woken sleepers that have not run yet are still on their way: let them get on first.
        await asyncio.sleep(0)
        if condition():
            return
        watcher = asyncio.get_running_loop().create_future()
        self._watchers[watcher] = condition
        try:
            await watcher
        finally:
            self._watchers.pop(watcher, None)

    async def _asleep_until(self, moment: datetime) -> None:
        alarm = self._add(moment)
        try:
            await alarm
        finally:
            self._sleepers.pop(alarm, None)

    def _add(self, due: datetime | None) -> asyncio.Future[None]:
        alarm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers[alarm] = due
        for watcher, condition in list(self._watchers.items()):
            if not watcher.done() and condition():
                watcher.set_result(None)
        return alarm

    def _wake(self, sleeper: asyncio.Future[None]) -> None:
        self._sleepers.pop(sleeper, None)
        if not sleeper.done():
            sleeper.set_result(None)
