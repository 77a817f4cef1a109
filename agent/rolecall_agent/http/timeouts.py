"""Drops clients by whose deadline nothing has come, with one timer for all of them."""

import asyncio
import math
from collections.abc import Iterable

from rolecall_agent.http.endpoint import Client

SPACING = 0.05  # seconds between two looks: nobody is dropped too early, and nobody later than that


class Deadlines:
    """Looks at *clients* when the next deadline has come.

    A timer for each connection would cost more than all else at its opening. A client may put its
    deadline off by itself; `watch` must be told of one that may come before all others.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clients: Iterable[Client]) -> None:
        self._loop = loop
        self._clients = clients
        self._next = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, moment: float) -> None:
        """See to it that there is a look at *moment*, or before."""
        if moment < self._next:
            self.close()
            self._next = moment
            self._timer = self._loop.call_at(moment, self._look)

    def close(self) -> None:
        self._next = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self.close()
        now, nearest = self._loop.time(), math.inf
        for client in tuple(self._clients):
            if client.due > now:
                nearest = min(nearest, client.due)
            else:
                client.kill()
        if nearest < math.inf:
            self.watch(max(nearest, now + SPACING))
