"""Finds again what an address was granted, while nothing has changed.

An address is found here by the very object that it is: its hash and its comparison are written in
Python, and a server hands out one object for each peer.
"""

from datetime import datetime

from rolecall_agent.store.standing import Granted
from rolecall_agent.witness.observation import Holders
from rolecall_proto.values import Address

MOST_KNOWN = 1024  # A node has some hundred pods.


class Grants:
    """Keeps grants until *holders* change, or it is told to forget them."""

    __slots__ = ("_changes", "_holders", "_known")

    def __init__(self, holders: Holders) -> None:
        self._holders = holders
        self._changes = holders.changes
        self._known: dict[int, tuple[Address, Granted]] = {}

    def find(self, address: Address, now: datetime) -> Granted | None:
        """Return what *address* is granted still; None where that is to be found out."""
        if self._holders.changes != self._changes:
            self.clear()
            return None
        known = self._known.get(id(address))
        # Ids are given again, but not while what has one is kept.
        if known is None or now >= known[1].session.credentials.expires_at:
            return None
        return known[1]

    def add(self, address: Address, granted: Granted) -> None:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[id(address)] = address, granted

    def clear(self) -> None:
        """Forget everything: it may be another now."""
        self._changes = self._holders.changes
        self._known.clear()
