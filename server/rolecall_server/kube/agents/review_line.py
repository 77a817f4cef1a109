"""The line before TokenReview: each token is asked about once, and so many at a time.

A fleet that lost its server comes back at once; the API server must not hear of it all at once. A
review belongs to nobody who waits for it: whoever leaves takes nothing from the others.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from rolecall_common.secret import NotPickled, Secret
from rolecall_server.kube.agents.reviews import Unanswered, Verdict
from rolecall_server.kube.agents.tokens import Claims

# A review takes some milliseconds: 5,000 agents are through in a second or two.
AT_ONCE = 32
# As many agents as the largest clusters have nodes. Of tokens that no key of the cluster has
# signed, or of which that cannot be told, fewer: a flood of those leaves the others their places.
LONGEST_LINE = 5_000
LONGEST_UNPROVEN_LINE = 1_000

_STOPPING = Unanswered(away=False, reason="the server is stopping")


@dataclass(slots=True, eq=False)
class Flight(NotPickled):
    """One token on its way to its verdict."""

    key: bytes
    token: Secret
    claims: Claims
    first: bool  # Goes before those that may be anybody's.
    done: asyncio.Event = field(default_factory=asyncio.Event)
    asked: bool = False
    verdict: Verdict | None = None


class ReviewLine:
    """Asks about every token that joins, those that are likely to be agents' first."""

    def __init__(
        self, ask: Callable[[Secret], Awaitable[Verdict]], settled: Callable[[Flight], None]
    ) -> None:
        """*settled* hears of each flight that was asked about, whoever still waits for it."""
        self._ask = ask
        self._settled = settled
        self._flights: dict[bytes, Flight] = {}
        self._first: deque[Flight] = deque()
        self._others: deque[Flight] = deque()
        self._in_flight = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._first) + len(self._others)

    def join(self, key: bytes, token: Secret, claims: Claims, *, first: bool) -> Flight | None:
        """Return the token's flight, which many may share; None where the line is too long."""
        if (flight := self._flights.get(key)) is not None:
            return flight
        line, most = (self._first, LONGEST_LINE) if first else (self._others, LONGEST_UNPROVEN_LINE)
        if len(line) >= most:
            return None
        flight = self._flights[key] = Flight(key, token, claims, first)
        line.append(flight)
        self._changed.set()
        return flight

    def disperse(self, verdict: Unanswered) -> None:
        """Send everybody home who was not asked about yet, with *verdict*."""
        waiting = [*self._first, *self._others]
        self._first.clear()
        self._others.clear()
        for flight in waiting:
            self._settle(flight, verdict)

    async def run(self) -> NoReturn:
        """Ask until cancelled; who waits then is told that nobody knows."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._changed.clear()
                    for flight in self._next():
                        tasks.create_task(self._fly(flight), name="review a token")
                    await self._changed.wait()
        finally:
            self.disperse(_STOPPING)
        raise AssertionError("the loop above has no end")

    def _next(self) -> Iterator[Flight]:
        while self._in_flight < AT_ONCE and (line := self._first or self._others):
            flight = line.popleft()
            flight.asked = True
            self._in_flight += 1
            yield flight

    async def _fly(self, flight: Flight) -> None:
        verdict: Verdict = _STOPPING
        try:
            verdict = await self._ask(flight.token)
        finally:
            self._in_flight -= 1
            self._changed.set()
            self._settle(flight, verdict)
        self._settled(flight)

    def _settle(self, flight: Flight, verdict: Verdict) -> None:
        flight.verdict = verdict
        del self._flights[flight.key]
        flight.done.set()
