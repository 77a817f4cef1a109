"""Keeps one pod from crowding out the others: so many connections each, and the rest queue."""

from collections.abc import Iterator

from rolecall_agent.http.client import Client
from rolecall_proto.values import Address

MOST_AT_ONCE = 512  # connections of one address that are answered; an SDK opens one to three
MOST_QUEUED = 512  # connections of one address that wait beyond these, unread
MOST_IN_ALL = 4096  # connections of all pods; a node has some hundred of them


class _Place:
    """The connections of one address, in the order they came."""

    __slots__ = ("answered", "queued")

    def __init__(self) -> None:
        self.answered: dict[Client, None] = {}
        self.queued: dict[Client, None] = {}

    def __len__(self) -> int:
        return len(self.answered) + len(self.queued)


class ConnectionLimits:
    """All connections, by address. What would be too many for one, or for all, is dropped."""

    def __init__(
        self,
        at_once: int = MOST_AT_ONCE,
        queued: int = MOST_QUEUED,
        in_all: int = MOST_IN_ALL,
    ) -> None:
        self._at_once = at_once
        self._queued = queued
        self._in_all = in_all
        self._places: dict[Address, _Place] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Client]:
        for place in self._places.values():
            yield from place.answered
            yield from place.queued

    def of(self, address: Address) -> list[Client]:
        """Return all connections of *address*."""
        place = self._places.get(address)
        return [] if place is None else [*place.answered, *place.queued]

    def add(self, client: Client, address: Address) -> bool:
        """Count *client* in, or have it queue; False where there is no place for it."""
        place = self._places.get(address)
        if self._count >= self._in_all and not self._make_room(len(place or ())):
            return False
        if place is None:
            place = self._places[address] = _Place()
        if len(place.answered) < self._at_once:
            place.answered[client] = None
        elif len(place.queued) < self._queued:
            place.queued[client] = None
            client.queue()
        else:
            return False
        self._count += 1
        return True

    def remove(self, client: Client, address: Address) -> None:
        """Count *client* out, if it is in; the next in the queue has its turn."""
        place = self._places.get(address)
        if place is None:
            return
        if client in place.queued:
            del place.queued[client]
        elif client in place.answered:
            del place.answered[client]
            if place.queued:
                self._start_next(place)
        else:
            return
        self._count -= 1
        if not place:
            del self._places[address]

    def _make_room(self, own: int) -> bool:
        """Drop the newest connection of who has most, unless that would be who asks, with *own*."""
        address, most = max(self._places.items(), key=lambda item: len(item[1]))
        if len(most) <= own + 1:
            return False
        client = next(reversed(most.queued or most.answered))
        self.remove(client, address)
        client.abort()
        return True

    @staticmethod
    def _start_next(place: _Place) -> None:
        following = next(iter(place.queued))
        del place.queued[following]
        place.answered[following] = None
        following.start()
