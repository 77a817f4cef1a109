"""The line before TokenReview: each token is asked about once, and so many at a time.

A fleet that lost its server comes back at once; the API server must not hear of it all at once. A
review belongs to nobody who waits for it: whoever leaves takes nothing from the others.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NoReturn

from rolecall_common.clock import Clock
from rolecall_common.secret import NotPickled, Secret
from rolecall_server.kube.auth.token_claims import Claims
from rolecall_server.kube.auth.token_review import Unanswered, Verdict

# A review takes some milliseconds: 5,000 agents are through in a second or two.
AT_ONCE = 32
# As many agents as the largest clusters have nodes.
LONGEST_LINE = 5_000
# Of a token that no known key has signed, anybody may make as many as they like. A new key is read
# within a minute, so that few agents wait here: ten reviews a second in all, on two lanes.
UNPROVEN_AT_ONCE = 2
UNPROVEN_PAUSE = timedelta(seconds=0.2)
LONGEST_UNPROVEN_LINE = 50  # As many as have their turn while somebody waits for it.

_STOPPING = Unanswered(away=False, reason="the server is stopping")


@dataclass(slots=True, eq=False)
class Flight(NotPickled):
    """One token on its way to its verdict."""

    key: bytes
    token: Secret
    claims: Claims
    proven: bool  # Else it may be anybody's.
    done: asyncio.Event = field(default_factory=asyncio.Event)
    asked: bool = False
    verdict: Verdict | None = None


class ReviewLine:
    """Asks about every token that joins; those that may be anybody's have a line of their own."""

    def __init__(
        self,
        ask: Callable[[Secret], Awaitable[Verdict]],
        settled: Callable[[Flight], None],
        clock: Clock,
    ) -> None:
        """*settled* hears of each flight that was asked about, whoever still waits for it."""
        self._ask = ask
        self._settled = settled
        self._clock = clock
        self._flights: dict[bytes, Flight] = {}
        self._proven: asyncio.Queue[Flight] = asyncio.Queue(LONGEST_LINE)
        self._unproven: asyncio.Queue[Flight] = asyncio.Queue(LONGEST_UNPROVEN_LINE)

    def join(self, key: bytes, token: Secret, claims: Claims, *, proven: bool) -> Flight | None:
        """Return the token's flight, which many may share; None where the line is too long."""
        if (flight := self._flights.get(key)) is not None:
            return flight
        line = self._proven if proven else self._unproven
        if line.full():
            return None
        flight = self._flights[key] = Flight(key, token, claims, proven)
        line.put_nowait(flight)
        return flight

    def disperse(self, verdict: Unanswered) -> None:
        """Send everybody home who was not asked about yet, with *verdict*."""
        for line in (self._proven, self._unproven):
            while not line.empty():
                self._settle(line.get_nowait(), verdict)

    async def run(self) -> NoReturn:
        """Ask until cancelled; who waits then is told that nobody knows."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(AT_ONCE):
                    tasks.create_task(self._review(self._proven), name="review tokens")
                for _ in range(UNPROVEN_AT_ONCE):
                    reviewing = self._review(self._unproven, UNPROVEN_PAUSE)
                    tasks.create_task(reviewing, name="review tokens of unknown keys")
        finally:
            self.disperse(_STOPPING)
        raise AssertionError("the tasks above have no end")

    async def _review(
        self, line: asyncio.Queue[Flight], pause: timedelta = timedelta()
    ) -> NoReturn:
        while True:
            await self._fly(await line.get())
            await self._clock.sleep(pause)

    async def _fly(self, flight: Flight) -> None:
        flight.asked = True
        verdict: Verdict = _STOPPING
        try:
            verdict = await self._ask(flight.token)
        finally:
            self._settle(flight, verdict)
        self._settled(flight)

    def _settle(self, flight: Flight, verdict: Verdict) -> None:
        flight.verdict = verdict
        del self._flights[flight.key]
        flight.done.set()
