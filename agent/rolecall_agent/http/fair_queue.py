"""Lets each pod have so many requests read in one turn of the loop; the others wait their turn.

A pod that sends more than its share waits for itself, and every other pod for one share of it at
the most. Answers from memory are not counted: there is one for each read, and it is cheap.
"""

import asyncio

from rolecall_agent.http.endpoint import Client
from rolecall_proto.values import Address

SHARE = 8  # requests of one address in a turn, in which uvloop takes one new connection


class Pace:
    """Counts by address, and begins anew with each turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, share: int = SHARE) -> None:
        self._loop = loop
        self._share = share
        self._spent: dict[Address, int] = {}
        self._lines: dict[Address, dict[Client, None]] = {}  # In the order they came.

    def may_go(self, client: Client, address: Address) -> bool:
        """Count one request; where it is one too many, *client* is told to go on in its turn."""
        if not self._spent:
            self._loop.call_soon(self._turn)
        spent = self._spent.get(address, 0)
        if spent < self._share:
            self._spent[address] = spent + 1
            return True
        self._lines.setdefault(address, {})[client] = None
        return False

    def leave(self, client: Client, address: Address) -> None:
        line = self._lines.get(address)
        if line is not None:
            line.pop(client, None)
            if not line:
                del self._lines[address]

    def _turn(self) -> None:
        self._spent.clear()
        for address, line in tuple(self._lines.items()):
            while line and self._spent.get(address, 0) < self._share:
                client = next(iter(line))
                self.leave(client, address)
                client.go_on()
