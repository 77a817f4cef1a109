"""Time as a thing that is handed in, so that tests own it."""

import asyncio
import time
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

        With no *moment* it waits for the event alone.
        """
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(max(0.0, duration.total_seconds()))

    async def wait_until(self, event: asyncio.Event, moment: datetime | None) -> bool:
        if moment is None:
            await event.wait()
            return True
        try:
            async with asyncio.timeout(max(0.0, (moment - self.now()).total_seconds())):
                await event.wait()
        except TimeoutError:
            pass
        return event.is_set()
