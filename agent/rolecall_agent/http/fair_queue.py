"""Lets each pod have so many reads looked at in one turn of the loop; the others wait their turn.

A request is one, and so is a part of one: whoever sends byte by byte pays for each byte. A request
whose head is not known yet (`known_heads.py`) is as dear as four, and counts for as many.

A pod that sends more than its share waits for itself, and every other pod for one share of it at
the most. What the response cache answers is not counted: one for each read, and it is cheap.
"""

import asyncio
from collections.abc import Hashable

from rolecall_agent.http.client import Client

SHARE = 32  # looks at what one address has sent in a turn, in which uvloop takes one new connection
PARSING = 3  # further looks, for a head that is parsed: some 10 µs for one that is known, 40 for it


class FairQueue:
    """Counts by whatever stands for a pod, and begins anew with each turn of the loop.

    The hash of an address is written in Python: its name, as the kernel writes it, costs less.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, share: int = SHARE) -> None:
        self._loop = loop
        self._share = share
        self._spent: dict[Hashable, int] = {}
        self._queues: dict[Hashable, dict[Client, None]] = {}  # In the order they came.
        self._waits_for: dict[Client, Hashable] = {}  # In whose queue each is.
        self._admitted: Hashable = None  # Whom the last look was counted for.

    def admit(self, client: Client, pod: Hashable) -> bool:
        """Count one look; where it is one too many, *client* is told to go on in its turn."""
        if not self._spent:
            self._loop.call_soon(self._turn)
        spent = self._spent.get(pod, 0)
        if spent < self._share:
            self._spent[pod] = spent + 1
            self._admitted = pod
            return True
        if self._waits_for.get(client, pod) != pod:
            self.remove(client)  # What it sent stands for another pod now that it is whole.
        self._waits_for[client] = pod
        self._queues.setdefault(pod, {})[client] = None
        return False

    def charge(self) -> None:
        """Count the parsing of what was admitted last."""
        self._spent[self._admitted] = self._spent.get(self._admitted, 0) + PARSING

    def remove(self, client: Client) -> None:
        """Forget *client*, if it waits."""
        if client in self._waits_for:
            pod = self._waits_for.pop(client)
            del self._queues[pod][client]
            if not self._queues[pod]:
                del self._queues[pod]

    def _turn(self) -> None:
        self._spent.clear()
        for pod, queue in tuple(self._queues.items()):
            while queue and self._spent.get(pod, 0) < self._share:
                client = next(iter(queue))
                self.remove(client)
                client.go_on()
