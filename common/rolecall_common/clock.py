"""Time as a thing that is handed in, so that tests own it."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits for it. Decisions never hold one: they are told the time."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Return after *duration*; at once when it is not positive."""
        ...

    async def wait_until(self, event: asyncio.Event, moment: datetime | None) -> bool:
        """Wait for *event*, but not past *moment*; tell whether the event is set.

        Nor longer than *moment* was away at first, where the clock is set back meanwhile. With no
        *moment* it waits for the event alone.
        """
        ...


class SystemClock:
    """The machine's own time.

    Its timers stand still while the machine is suspended, and know nothing of a wall clock that
    was set. So whoever waits looks at the clock again and again, and is late by *look_every* at
    most: what ends at a moment (credentials, tokens, certificates) ends by the wall clock.
    """

    def __init__(self, look_every: timedelta = timedelta(seconds=5)) -> None:
        self._look_every = look_every.total_seconds()

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    async def sleep(self, duration: timedelta) -> None:
        left = self._countdown(self.now() + duration)
        while True:
            await asyncio.sleep(max(0.0, min(left(), self._look_every)))
            if left() <= 0:
                return

    async def wait_until(self, event: asyncio.Event, moment: datetime | None) -> bool:
        if moment is None:
            await event.wait()
            return True
        left = self._countdown(moment)
        while True:
            try:
                async with asyncio.timeout(max(0.0, min(left(), self._look_every))):
                    await event.wait()
            except TimeoutError:
                pass
            if event.is_set() or left() <= 0:
                return event.is_set()

    def _countdown(self, moment: datetime) -> Callable[[], float]:
        # The timers count, too: a clock that was set back must not make a second an hour.
        loop = asyncio.get_running_loop()
        due = loop.time() + (moment - self.now()).total_seconds()
        return lambda: min(due - loop.time(), (moment - self.now()).total_seconds())
