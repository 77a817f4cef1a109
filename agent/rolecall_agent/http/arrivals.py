"""Connections that nobody has taken up yet, by whom they are from: so that each source has turns.

The kernel keeps new connections in one queue, first come, first served. Where it is long, one
source has filled it, and all others would wait behind that one.
"""

from typing import Generic, TypeVar

A = TypeVar("A")


class Arrivals(Generic[A]):
    """So many arrivals of all sources, from which each source has its share in turn."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._lanes: dict[str, list[A]] = {}

    def __len__(self) -> int:
        return self._count

    def add(self, arrival: A, source: str, most: int) -> A | None:
        """Keep *arrival*, or another one's place; return whom there is no place for.

        A source has *most* at once. Where all places are taken, the newest of who has most goes.
        """
        lane = self._lanes.setdefault(source, [])
        lane.append(arrival)
        self._count += 1
        if len(lane) > most:
            return self._drop(source)
        if self._count > self._most:
            return self._drop(max(self._lanes, key=lambda each: len(self._lanes[each])))
        return None

    def take(self, share: int) -> list[A]:
        """Return the next ones of each source, at most *share* of each."""
        taken = []
        for source, lane in tuple(self._lanes.items()):
            taken += lane[:share]
            del lane[:share]
            if not lane:
                del self._lanes[source]
        self._count -= len(taken)
        return taken

    def _drop(self, source: str) -> A:
        lane = self._lanes[source]
        dropped = lane.pop()
        if not lane:
            del self._lanes[source]
        self._count -= 1
        return dropped
