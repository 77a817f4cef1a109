"""How an agent ends that was told to: not before its pods can do without it.

Where another agent has taken its place, what is connected finishes first, and that is all. Where
nobody has, it answers on until the node has no pod left that it serves, or its grace is over: a
node that is drained ends its pods one by one, and each may need credentials to its last moment.
Whether that is so is looked at again and again. A second signal ends it at once.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any, Protocol

from rolecall_agent.store.cache import Cache
from rolecall_common.admin_http import Readiness
from rolecall_common.clock import Clock
from rolecall_proto.values import State

log = logging.getLogger(__name__)

_AGAIN = timedelta(seconds=1)
_SERVED = frozenset({State.GRANTED, State.PENDING})
_LEAVING = "told to end; who asks is still answered"

Loops = Mapping[str, Coroutine[Any, Any, None]]


class Answering(Protocol):
    """What answers pods."""

    def leave(self) -> None:
        """Have each answer from now on be the last of its connection."""
        ...

    async def finished(self) -> None:
        """Wait until no client is connected."""
        ...


class Departure:
    """The end of one agent.

    Args:
        grace: For how long pods are answered that have nobody else.
        clock: Which tells when to look again.
        cache: What this node holds, and so which pods are left.
        has_successor: Whether another agent answers in the place of this one.
    """

    def __init__(
        self, grace: timedelta, clock: Clock, cache: Cache, has_successor: Callable[[], bool]
    ) -> None:
        self._grace = grace
        self._clock = clock
        self._cache = cache
        self._has_successor = has_successor
        self.has_begun = False

    def readiness(self, readiness: Readiness) -> Readiness:
        """Return *readiness* as others should see it: who leaves is not ready."""
        if not self.has_begun:
            return readiness
        return Readiness(ready=False, lines=(_LEAVING, *readiness.lines))

    async def run(self, loops: Loops, answering: Answering, drain: timedelta = timedelta()) -> None:
        """Run *loops*; when cancelled, go on with them while that is needed, and for *drain* more.

        What is connected has so long to finish.
        """
        task = asyncio.create_task(run_together(loops), name="answer")
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                self.has_begun = True
                answering.leave()
                await _unless_over(task, self._until_unneeded(), "answer on")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(drain.total_seconds()):
                        await _unless_over(task, answering.finished(), "drain")
            raise
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _until_unneeded(self) -> None:
        left, told = self._grace, False
        while left > timedelta() and self._is_needed():
            if not told:
                fields = {"most_seconds": left.total_seconds()}
                log.info("told to end: pods are answered on while some are left", extra=fields)
                told = True
            await self._clock.sleep(min(left, _AGAIN))
            left -= _AGAIN

    def _is_needed(self) -> bool:
        if not self._cache.synced or self._has_successor():
            return False
        pods = self._cache.statistics(self._clock.now()).pods
        return any(count and state in _SERVED for (state, _), count in pods.items())


async def run_together(loops: Loops) -> None:
    """Run all of *loops*, each in a task of its name."""
    async with asyncio.TaskGroup() as tasks:
        for name, loop in loops.items():
            tasks.create_task(loop, name=name)


async def _unless_over(
    task: "asyncio.Task[None]", waiting: Coroutine[Any, Any, None], name: str
) -> None:
    """Await *waiting*, but no longer than *task* runs, and raise what that raises."""
    other = asyncio.create_task(waiting, name=name)
    try:
        await asyncio.wait([task, other], return_when=asyncio.FIRST_COMPLETED)
    finally:
        other.cancel()
        await asyncio.wait([other])
    if task.done():
        task.result()
    other.result()
