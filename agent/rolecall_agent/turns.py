"""Keeps one pod from crowding out the others: so many connections each, and the rest in line."""

from rolecall_agent.desk import Client
from rolecall_proto.values import Address

MOST_AT_ONCE = 512  # connections of one address that are answered; an SDK opens one to three


class Turns:
    """Counts each address's connections. Those beyond the limit are accepted, and wait."""

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most = most
        self._open: dict[Address, int] = {}
        self._lines: dict[Address, dict[Client, None]] = {}  # In the order they came.

    def enter(self, client: Client, address: Address) -> None:
        """Count *client* in, or have it wait for its turn."""
        count = self._open.get(address, 0)
        if count < self._most:
            self._open[address] = count + 1
        else:
            self._lines.setdefault(address, {})[client] = None
            client.wait_turn()

    def leave(self, client: Client, address: Address) -> None:
        """Count *client* out; the next in line has its turn."""
        line = self._lines.get(address)
        if line is None:
            self._count_out(address)
        elif client in line:
            del line[client]
        else:
            following = next(iter(line))
            del line[following]
            following.take_turn()
        if line is not None and not line:
            del self._lines[address]

    def _count_out(self, address: Address) -> None:
        count = self._open[address] - 1
        if count:
            self._open[address] = count
        else:
            del self._open[address]
