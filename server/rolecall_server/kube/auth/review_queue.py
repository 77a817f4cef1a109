"""The queue before TokenReview: each token is asked about once, and so many at a time.

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
from rolecall_server.kube.auth.token_review import ReviewResult, Unanswered

# A review takes some milliseconds: 5,000 agents are through in a second or two.
AT_ONCE = 32
# As many agents as the largest clusters have nodes.
LONGEST_QUEUE = 5_000
# Of a token that no known key has signed, anybody may make as many as they like. A new key is read
# within a minute, so that few agents wait here: ten reviews a second in all, two at a time.
UNPROVEN_AT_ONCE = 2
UNPROVEN_PAUSE = timedelta(seconds=0.2)
LONGEST_UNPROVEN_QUEUE = 50  # As many as have their turn while somebody waits for it.

_STOPPING = Unanswered(away=False, reason="the server is stopping")


@dataclass(slots=True, eq=False)
class PendingReview(NotPickled):
    """One token on its way to the result of its review."""

    key: bytes
    token: Secret
    claims: Claims
    proven: bool  # Else it may be anybody's.
    done: asyncio.Event = field(default_factory=asyncio.Event)
    asked: bool = False
    result: ReviewResult | None = None


class ReviewQueue:
    """Asks about every token that is submitted; those that may be anybody's have a queue apart."""

    def __init__(
        self,
        ask: Callable[[Secret], Awaitable[ReviewResult]],
        completed: Callable[[PendingReview], None],
        clock: Clock,
    ) -> None:
        """*completed* hears of each review that was asked for, whoever still waits for it."""
        self._ask = ask
        self._completed = completed
        self._clock = clock
        self._pending: dict[bytes, PendingReview] = {}
        self._proven: asyncio.Queue[PendingReview] = asyncio.Queue(LONGEST_QUEUE)
        self._unproven: asyncio.Queue[PendingReview] = asyncio.Queue(LONGEST_UNPROVEN_QUEUE)

    def submit(
        self, key: bytes, token: Secret, claims: Claims, *, proven: bool
    ) -> PendingReview | None:
        """Return the token's review, which many may share; None where the queue is full."""
        if (pending := self._pending.get(key)) is not None:
            return pending
        queue = self._proven if proven else self._unproven
        if queue.full():
            return None
        pending = self._pending[key] = PendingReview(key, token, claims, proven)
        queue.put_nowait(pending)
        return pending

    def complete_waiting(self, result: Unanswered) -> None:
        """Give *result* to everybody who was not asked about yet."""
        for queue in (self._proven, self._unproven):
            while not queue.empty():
                self._complete(queue.get_nowait(), result)

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
            self.complete_waiting(_STOPPING)
        raise AssertionError("the tasks above have no end")

    async def _review(
        self, queue: asyncio.Queue[PendingReview], pause: timedelta = timedelta()
    ) -> NoReturn:
        while True:
            await self._ask_about(await queue.get())
            await self._clock.sleep(pause)

    async def _ask_about(self, pending: PendingReview) -> None:
        pending.asked = True
        result: ReviewResult = _STOPPING
        try:
            result = await self._ask(pending.token)
        finally:
            self._complete(pending, result)
        self._completed(pending)

    def _complete(self, pending: PendingReview, result: ReviewResult) -> None:
        pending.result = result
        del self._pending[pending.key]
        pending.done.set()
