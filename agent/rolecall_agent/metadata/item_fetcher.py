"""Fetches the node's own items for all pods: each once at a time, however many ask."""

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

from rolecall_agent.metadata.imds_client import Imds, RefusedError, UnavailableError
from rolecall_agent.metadata.item_cache import Missed, Shelf, Told
from rolecall_agent.metadata.items import Item
from rolecall_common.clock import Clock

log = logging.getLogger(__name__)


def _tell_nobody() -> None: ...


class Upstream:
    """Keeps the shelf filled with what pods ask for. Who asks waits for nothing here."""

    def __init__(self, imds: Imds, shelf: Shelf, clock: Clock) -> None:
        self.shelf = shelf
        self._imds = imds
        self._clock = clock
        self._on_told: Callable[[], None] = _tell_nobody
        self._raised = asyncio.Event()
        self._wanted: dict[Item, None] = {}
        self._in_flight: set[Item] = set()
        self._problem: str | None = None  # What was logged last, so that it is said once.

    def wakes(self, on_told: Callable[[], None]) -> None:
        """Have *on_told* called whenever the shelf has changed."""
        self._on_told = on_told

    def want(self, item: Item) -> None:
        """Note that a pod asks for *item*. Cheap: one question at a time, and none too soon."""
        if item not in self._in_flight and self.shelf.is_due(item, self._clock.now()):
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
        told: Told
        try:
            told = await self._imds.read(item)
            self._note(None)
        except RefusedError as error:
            told = Missed.REFUSED
            self._note(str(error))
        except UnavailableError as error:
            told = Missed.UNAVAILABLE
            self._note(str(error))
        finally:
            self._in_flight.discard(item)
        self.shelf.put(item, told, self._clock.now())
        self._on_told()

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            log.warning("the node's metadata service tells less than asked", extra={"why": problem})
        self._problem = problem
