"""Moments by key: a heap whose entries can be moved and dropped."""

import heapq
from typing import Any, Generic, Protocol, TypeVar


class Comparable(Protocol):
    """What can be put in order, such as a moment or a tuple of them."""

    def __lt__(self, other: Any, /) -> bool: ...  # noqa: ANN401 (as tuples and datetimes declare it)


Key = TypeVar("Key")
Order = TypeVar("Order", bound=Comparable)


class KeyedHeap(Generic[Key, Order]):
    """Keys in an order that may change at any time; asking for the first costs next to nothing.

    Keys that compare equal in order come out as they went in. An entry that was moved or dropped
    stays in the heap until it surfaces, or until such entries outnumber the living ones.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[Order, int, Key]] = []
        self._living: dict[Key, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._living)

    def __contains__(self, key: Key) -> bool:
        return key in self._living

    def put(self, key: Key, order: Order) -> None:
        """Place *key* at *order*, instead of wherever it was."""
        self._count += 1
        self._living[key] = self._count
        heapq.heappush(self._heap, (order, self._count, key))
        if len(self._heap) > 2 * len(self._living) + 64:
            self._compact()

    def drop(self, key: Key) -> None:
        """Remove *key*, if it is here."""
        self._living.pop(key, None)

    def first(self) -> tuple[Order, Key] | None:
        """Return the first entry without removing it."""
        while self._heap:
            order, count, key = self._heap[0]
            if self._living.get(key) == count:
                return order, key
            heapq.heappop(self._heap)
        return None

    def pop(self) -> Key:
        """Remove and return the first key; raises IndexError where there is none."""
        first = self.first()
        if first is None:
            raise IndexError("an empty heap")
        heapq.heappop(self._heap)
        del self._living[first[1]]
        return first[1]

    def _compact(self) -> None:
        self._heap = [entry for entry in self._heap if self._living.get(entry[2]) == entry[1]]
        heapq.heapify(self._heap)
