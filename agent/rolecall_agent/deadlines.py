"""Many things that each wait equally long, and one timer for all: the first in is the first due."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Calls *expired* with each item that was started and not stopped within *after* seconds.

    A timer for each connection would cost more than all else at its opening.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, after: float, expired: Callable[[T], None]
    ) -> None:
        self._loop = loop
        self._after = after
        self._expired = expired
        self._due: dict[T, float] = {}  # In the order of their moments.
        self._timer: asyncio.TimerHandle | None = None

    def start(self, item: T) -> None:
        """Begin to wait for *item*; where it waits already, its moment stays."""
        if item in self._due:
            return
        moment = self._loop.time() + self._after
        self._due[item] = moment
        if self._timer is None:
            self._timer = self._loop.call_at(moment, self._fire)

    def stop(self, item: T) -> None:
        self._due.pop(item, None)

    def close(self) -> None:
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for item in [each for each, moment in self._due.items() if moment <= now]:
            self._due.pop(item, None)
            self._expired(item)
        if self._due and self._timer is None:
            self._timer = self._loop.call_at(next(iter(self._due.values())), self._fire)
