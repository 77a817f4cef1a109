"""Fetches the node's own items for all pods: each once at a time, however many ask."""

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

from rolecall_agent.decision import Item
from rolecall_agent.metadata.imds_client import ImdsClient, RefusedError, UnavailableError
from rolecall_agent.metadata.item_cache import ItemCache, Missed, Value
from rolecall_common.clock import Clock

log = logging.getLogger(__name__)


def _wake_nobody() -> None: ...


class ItemFetcher:
    """Keeps the cache filled with what pods ask for. Who asks waits for nothing here."""

    def __init__(self, imds: ImdsClient, cache: ItemCache, clock: Clock) -> None:
        self.cache = cache
        self._imds = imds
        self._clock = clock
        self._on_change: Callable[[], None] = _wake_nobody
        self._raised = asyncio.Event()
        self._wanted: dict[Item, None] = {}
        self._in_flight: set[Item] = set()
        self._problem: str | None = None  # What was logged last, so that it is said once.

    def wakes(self, on_change: Callable[[], None]) -> None:
        """Have *on_change* called whenever the cache has changed."""
        self._on_change = on_change

    def want(self, item: Item) -> None:
        """Note that a pod asks for *item*. Cheap: one question at a time, and none too soon."""
        if item not in self._in_flight and self.cache.is_due(item, self._clock.now()):
            self._wanted[item] = None
            self._raised.set()

    async def run(self) -> NoReturn:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._raised.clear()
                for item in self._wanted:
                    self._in_flight.add(item)
                    tasks.create_task(self._fetch(item), name=f"read {item}")
                self._wanted.clear()
                await self._raised.wait()

    async def _fetch(self, item: Item) -> None:
        value: Value
        try:
            value = await self._imds.read(item)
            self._note(None)
        except RefusedError as error:
            value = Missed.REFUSED
            self._note(str(error))
        except UnavailableError as error:
            value = Missed.UNAVAILABLE
            self._note(str(error))
        finally:
            self._in_flight.discard(item)
        self.cache.put(item, value, self._clock.now())
        self._on_change()

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            log.warning("the node's metadata service tells less than asked", extra={"why": problem})
        self._problem = problem
