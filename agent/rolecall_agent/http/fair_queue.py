"""Lets each pod have so many reads looked at in one turn of the loop; the others wait their turn.

A request is one, and so is a part of one: whoever sends byte by byte pays for each byte.

A pod that sends more than its share waits for itself, and every other pod for one share of it at
the most. What the response cache answers is not counted: one for each read, and it is cheap.
"""

import asyncio

from rolecall_agent.http.client import Client
from rolecall_proto.values import Address

SHARE = 8  # looks at what one address has sent in a turn, in which uvloop takes one new connection


class FairQueue:
    """Counts by address, and begins anew with each turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, share: int = SHARE) -> None:
        self._loop = loop
        self._share = share
        self._spent: dict[Address, int] = {}
        self._queues: dict[Address, dict[Client, None]] = {}  # In the order they came.

    def admit(self, client: Client, address: Address) -> bool:
        """Count one look; where it is one too many, *client* is told to go on in its turn."""
        if not self._spent:
            self._loop.call_soon(self._turn)
        spent = self._spent.get(address, 0)
        if spent < self._share:
            self._spent[address] = spent + 1
            return True
        self._queues.setdefault(address, {})[client] = None
        return False

    def remove(self, client: Client, address: Address) -> None:
        queue = self._queues.get(address)
        if queue is not None:
            queue.pop(client, None)
            if not queue:
                del self._queues[address]

    def _turn(self) -> None:
        self._spent.clear()
        for address, queue in tuple(self._queues.items()):
            while queue and self._spent.get(address, 0) < self._share:
                client = next(iter(queue))
                self.remove(client, address)
                client.go_on()
