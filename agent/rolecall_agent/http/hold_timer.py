"""Calls on held requests when their next moment has come: one timer, however many are held."""

import asyncio
from heapq import heappop, heappush
from itertools import count

from rolecall_agent.http.client import Client
from rolecall_agent.http.patience import ParkedRequest

# Requests that are called on in one turn of the loop. Hundreds may have come at the same moment,
# and all else would wait until the last of them had its byte.
SHARE = 32


class HoldTimer:
    """Knows the next moment of each held request; one that was answered before is passed over."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._moments: list[tuple[float, int, Client, ParkedRequest]] = []
        self._numbers = count()  # Of two at the same moment the older one is first.
        self._timer: asyncio.TimerHandle | None = None

    def add(self, client: Client, parked: ParkedRequest) -> None:
        """Have *client* called at the next moment of *parked*."""
        entry = (parked.next_moment(), next(self._numbers), client, parked)
        heappush(self._moments, entry)
        if self._moments[0] is entry:
            self._set()

    def close(self) -> None:
        self._moments.clear()
        self._set()

    def _look(self) -> None:
        now = self._loop.time()
        for _ in range(SHARE):
            if not self._moments or self._moments[0][0] > now:
                break
            _, _, client, parked = heappop(self._moments)
            client.wait_on(parked, now)
        self._set()

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._moments:
            self._timer = self._loop.call_at(self._moments[0][0], self._look)
