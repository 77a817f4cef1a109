"""Keeps one pod from crowding out the others: so many connections each, and the rest queue.

Nobody waits for a connection that is idle: the oldest such one of the pod gives up its place.
"""

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
        self.crowded: set[Address] = set()  # Of whom somebody queues.

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

    def room(self, address: Address) -> int:
        """Return how many more connections *address* may have, those that would queue included."""
        return self._at_once + self._queued - len(self._places.get(address, ()))

    def add(self, client: Client, address: Address) -> bool:
        """Count *client* in, or have it queue; False where there is no place for it."""
        if self._count >= self._in_all and not self._make_room(address):
            return False
        place = self._places.get(address)
        # Where some queue already, nobody was idle a moment ago, and `relieve` sees who will be.
        if place is not None and len(place.answered) >= self._at_once and not place.queued:
            self._push_out_idle(place, address)
        place = self._places.setdefault(address, place or _Place())
        if len(place.answered) < self._at_once:
            place.answered[client] = None
        elif len(place.queued) < self._queued:
            place.queued[client] = None
            self.crowded.add(address)
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
        if not place.queued:
            self.crowded.discard(address)
        if not place:
            del self._places[address]

    def relieve(self) -> None:
        """Have those who queue take the places of connections that have become idle."""
        for address in tuple(self.crowded):
            place = self._places[address]
            while place.queued and self._push_out_idle(place, address):
                pass

    def _make_room(self, address: Address) -> bool:
        """Drop a connection of who has most: an idle one, or else the newest.

        Where *address* asks, and has most itself, an idle one of its own or none.
        """
        own = self._places.get(address)
        giver, most = max(self._places.items(), key=lambda item: len(item[1]))
        if len(most) <= len(own or ()) + 1:
            return own is not None and self._push_out_idle(own, address)
        if not self._push_out_idle(most, giver):
            self._push_out(next(reversed(most.queued or most.answered)), giver)
        return True

    def _push_out_idle(self, place: _Place, address: Address) -> bool:
        """Drop the oldest idle connection of *place*, if there is one."""
        idle = next((client for client in place.answered if client.is_idle), None)
        if idle is not None:
            self._push_out(idle, address)
        return idle is not None

    def _push_out(self, client: Client, address: Address) -> None:
        self.remove(client, address)
        client.abort()

    @staticmethod
    def _start_next(place: _Place) -> None:
        following = next(iter(place.queued))
        del place.queued[following]
        place.answered[following] = None
        following.start()
