"""Rounds of a measurement in a cluster, and what others took of the machine meanwhile."""

import os
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from bench.ground import Ground
from bench.processes import busy_seconds, cpu_seconds

V = TypeVar("V")

# A share of one core. More of it, and the times are of a slower machine than the one described.
CALM = 0.10
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Round(Generic[V]):
    """One result. *foreign* is what anybody else took of the two cores, as a share of one."""

    value: V
    foreign: float


class Rounds:
    """Measures again what others disturbed, and remembers the worst round that counts."""

    def __init__(self, ground: Ground) -> None:
        self.worst = 0.0
        self._ground = ground
        self._begun = 0  # Each try has a number of its own, for the names of its logs.

    async def measure(self, count: int, make: Callable[[int], Awaitable[V]]) -> list[V]:
        """Return *count* results, each the calmest of three tries where none of them was calm."""
        with self._ground.pinned():
            rounds = [await self._calmest(make) for _ in range(count)]
        self.worst = max(self.worst, *(each.foreign for each in rounds))
        return [each.value for each in rounds]

    async def _calmest(self, make: Callable[[int], Awaitable[V]]) -> Round[V]:
        tried: list[Round[V]] = []
        while not tried or (tried[-1].foreign > CALM and len(tried) < _TRIES):
            tried.append(await self._one(make))
        return min(tried, key=lambda each: each.foreign)

    async def _one(self, make: Callable[[int], Awaitable[V]]) -> Round[V]:
        self._begun += 1
        busy, own, began = self._busy(), self._own(), time.perf_counter()
        value = await make(self._begun)
        seconds = time.perf_counter() - began
        foreign = (self._busy() - busy - (self._own() - own)) / seconds
        return Round(value, max(0.0, foreign))

    def _busy(self) -> float:
        cores = self._ground.cores
        return busy_seconds(cores.measured) + busy_seconds(cores.asking)

    def _own(self) -> float:
        """Return the CPU seconds of the cluster, of this process, and of what it has started."""
        living = [each.pid for each in self._ground.at.cluster.control_plane.processes]
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        pids = {os.getpid(), *living, *map(int, children.split())}
        return ended.ru_utime + ended.ru_stime + sum(map(cpu_seconds, pids))
