"""Who waits, by what must become known first: an address, or a pod's uid."""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from rolecall_agent.http.endpoint import Client

Key = TypeVar("Key", bound=Hashable)


class WaitingRoom(Generic[Key]):
    """The clients with a parked request. Who is woken leaves by itself, once it can be answered."""

    def __init__(self) -> None:
        self._clients: dict[Key, dict[Client, None]] = {}  # In the order they came.

    def __len__(self) -> int:
        return sum(len(clients) for clients in self._clients.values())

    def enter(self, client: Client, key: Key) -> None:
        self._clients.setdefault(key, {})[client] = None

    def leave(self, client: Client, key: Key) -> None:
        clients = self._clients[key]
        del clients[client]
        if not clients:
            del self._clients[key]

    def wake(self, keys: Iterable[Key]) -> None:
        for key in keys:
            for client in tuple(self._clients.get(key, ())):
                client.retry()

    def wake_all(self) -> None:
        self.wake(tuple(self._clients))
