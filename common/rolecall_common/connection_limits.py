"""Who may be connected to a port that everybody reaches, and needs it for a moment only.

Kubelets and Prometheus keep a connection for one answer. Whoever keeps many, or one for long, gives
way to who comes.
"""

from collections.abc import Iterator
from typing import Protocol

MOST_IN_ALL = 32  # connections of others than the node itself: some scrapers, and what is broken
MOST_OF_ONE = 4  # of one address: a kubelet's three probes at once, and one more
MOST_OF_OWN = 8  # of the node's own addresses, from where its kubelet asks; no other takes these


class Connection(Protocol):
    """What gives way when it is told to."""

    def abort(self) -> None:
        """Drop the connection at once."""
        ...


class ConnectionLimits:
    """Who is connected, by address, and whose connection gives way."""

    def __init__(
        self, in_all: int = MOST_IN_ALL, of_one: int = MOST_OF_ONE, of_own: int = MOST_OF_OWN
    ) -> None:
        self._in_all = in_all
        self._of_one = of_one
        self._of_own = of_own
        self._own: dict[Connection, None] = {}  # In the order they came, as all others.
        self._others: dict[str, dict[Connection, None]] = {}

    def __iter__(self) -> Iterator[Connection]:
        yield from self._own
        for connections in self._others.values():
            yield from connections

    def admit(self, connection: Connection, address: str, *, is_own: bool) -> bool:
        """Count *connection* in; False where there is no place for it.

        *is_own*: *address* is one of the node that it is connected to.
        """
        if is_own:
            if len(self._own) >= self._of_own:
                _drop_oldest(self._own)
            self._own[connection] = None
            return True
        of_its_own = len(self._others.get(address, ()))
        if of_its_own >= self._of_one or not self._has_room(of_its_own):
            return False
        self._others.setdefault(address, {})[connection] = None
        return True

    def release(self, connection: Connection, address: str) -> None:
        """Count *connection* out, if it is in."""
        self._own.pop(connection, None)
        connections = self._others.get(address, {})
        connections.pop(connection, None)
        if not connections:
            self._others.pop(address, None)

    def _has_room(self, of_its_own: int) -> bool:
        """Make room where there is none, unless who asks has most, or would have then.

        Where all have one, the oldest gives way: nobody needs one for as long as the others take to
        come.
        """
        if sum(map(len, self._others.values())) < self._in_all:
            return True
        address, most = max(self._others.items(), key=lambda item: len(item[1]))
        if of_its_own >= len(most):
            return False
        _drop_oldest(most)
        if not most:
            del self._others[address]
        return True


def _drop_oldest(connections: dict[Connection, None]) -> None:
    oldest = next(iter(connections))
    del connections[oldest]
    oldest.abort()
