"""Who waits, by the address that must become known first."""

from collections.abc import Iterable

from rolecall_agent.desk import Client
from rolecall_proto.values import Address


class WaitingRoom:
    """The clients with a parked request. Who is woken leaves by itself, once it can be answered."""

    def __init__(self) -> None:
        self._clients: dict[Address, dict[Client, None]] = {}  # In the order they came.

    def __len__(self) -> int:
        return sum(len(clients) for clients in self._clients.values())

    def enter(self, client: Client, address: Address) -> None:
        self._clients.setdefault(address, {})[client] = None

    def leave(self, client: Client, address: Address) -> None:
        clients = self._clients[address]
        del clients[client]
        if not clients:
            del self._clients[address]

    def wake(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            for client in tuple(self._clients.get(address, ())):
                client.retry()

    def wake_all(self) -> None:
        self.wake(tuple(self._clients))
