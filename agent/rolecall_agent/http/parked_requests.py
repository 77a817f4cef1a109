"""Requests that wait, by what must become known first: an address, or a pod's uid."""

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from rolecall_agent.http.client import Client
from rolecall_agent.http.counters import Counters
from rolecall_agent.http.patience import ParkedRequest
from rolecall_agent.http.request import ReceivedRequest

Key = TypeVar("Key", bound=Hashable)


class ParkedRequests(Generic[Key]):
    """The clients with a parked request. Who is woken leaves by itself, once it can be answered.

    *key* says what a request waits for, *time* is the loop's clock.
    """

    def __init__(
        self,
        key: Callable[[ReceivedRequest], Key],
        counters: Counters,
        time: Callable[[], float],
    ) -> None:
        self._key = key
        self._counters = counters
        self._time = time
        self._clients: dict[Key, dict[Client, None]] = {}  # In the order they came.

    def __len__(self) -> int:
        return sum(len(clients) for clients in self._clients.values())

    def add(self, client: Client, parked: ParkedRequest) -> None:
        self._clients.setdefault(self._key(parked.received), {})[client] = None

    def remove(self, client: Client, parked: ParkedRequest) -> None:
        """Forget *client*, and count for how long it was held."""
        key = self._key(parked.received)
        clients = self._clients[key]
        del clients[client]
        if not clients:
            del self._clients[key]
        self._counters.held(parked.missing, self._time() - parked.received.at)

    def wake(self, keys: Iterable[Key]) -> None:
        for key in keys:
            for client in tuple(self._clients.get(key, ())):
                client.retry()

    def wake_all(self) -> None:
        self.wake(tuple(self._clients))
