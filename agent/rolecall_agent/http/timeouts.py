"""Drops clients by whose deadline nothing has come, with one timer for all of them."""

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass

from rolecall_agent.http.client import Client

SPACING = 0.05  # seconds between two looks: nobody is dropped too early, and nobody later than that


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long a client may take, in seconds."""

    head: float  # For a request's head, from its first byte or from the connection's beginning.
    idle: float  # Without a request.
    reader: float  # Without reading answers that are written.
    queue: float  # Until its turn has come. Who has waited that long is gone, and cannot be seen.


# A head: contract §5. Without a request: as long as nginx waits. No SDK waits for ten seconds.
TIME_LIMITS = TimeLimits(head=5.0, idle=75.0, reader=10.0, queue=10.0)


class Timeouts:
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
                client.abort()
        if nearest < math.inf:
            self.watch(max(nearest, now + SPACING))
