"""Virtual time: a queue of what happens when, and nothing happens in between."""

import heapq
import random
from collections.abc import Callable
from datetime import datetime, timedelta

from fakes.clock import START

Happening = Callable[[], None]


class Timeline:
    """Runs happenings in the order of their moments; those of one moment, as they were added."""

    def __init__(self) -> None:
        self.now: datetime = START
        # Reseeded by each operation, so that dropping one leaves most of the others as they were.
        self.dice = random.Random(0)  # noqa: S311 (dice, not keys)
        self._queue: list[tuple[datetime, int, Happening]] = []
        self._count = 0

    def at(self, moment: datetime, happening: Happening) -> None:
        self._count += 1
        heapq.heappush(self._queue, (max(moment, self.now), self._count, happening))

    def after(self, seconds: float, happening: Happening) -> None:
        self.at(self.now + timedelta(seconds=seconds), happening)

    def between(self, least: float, most: float, happening: Happening) -> None:
        """Have it happen after a while that the dice choose."""
        self.after(self.dice.uniform(least, most), happening)

    def run_until(self, moment: datetime, settle: Happening) -> None:
        """Let everything happen that is due by *moment*, and *settle* after each."""
        while self._queue and self._queue[0][0] <= moment:
            self.now, _, happening = heapq.heappop(self._queue)
            happening()
            settle()
        self.now = max(self.now, moment)


class Calm:
    """Since when each part has been left in peace."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._until: dict[object, datetime] = {}

    def disturb(self, part: object, seconds: float = 0.0) -> None:
        """Note that *part* is disturbed, now and for the next *seconds*."""
        until = self._timeline.now + timedelta(seconds=seconds)
        self._until[part] = max(until, self._until.get(part, until))

    def lasts(self, seconds: float, *parts: object) -> bool:
        """Tell whether all *parts* have been calm for *seconds*."""
        since = self._timeline.now - timedelta(seconds=seconds)
        return all(self._until.get(part, START) <= since for part in parts)

    def forgive(self) -> None:
        """Note that every disturbance ends now."""
        now = self._timeline.now
        self._until = {part: min(until, now) for part, until in self._until.items()}
