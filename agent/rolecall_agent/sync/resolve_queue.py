"""Which addresses to ask a server about: each once at a time, and not again for a second."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from operator import itemgetter

from rolecall_proto.codec import MAX_QUESTIONS
from rolecall_proto.values import Address

# An answer is true for a moment: a pod that the server does not know now it may know then.
REST = timedelta(seconds=1)
# A waiting request is given up by then, or asks again (held for 0.9 s, or patiently), and so its
# question is given up, too.
STALE = timedelta(seconds=1)
# A node runs some hundred pods. More addresses than this are a pod that makes them up.
MAX_ADDRESSES = 1024


class ResolveQueue:
    """Addresses at which requests wait, and about which no server has answered yet."""

    def __init__(self) -> None:
        # Set whenever `take` may return something that was not tried in vain just now.
        self.changed = asyncio.Event()
        self._waiting: dict[Address, datetime] = {}
        self._in_flight: dict[Address, datetime] = {}  # Since when each had waited.
        self._outdated: set[Address] = set()  # In flight, and to be asked about again.
        # Since when each rests; like those that wait, the oldest first.
        self._resting: dict[Address, datetime] = {}

    def enqueue(self, address: Address, now: datetime) -> None:
        """Note that a request waits for *address*, to be asked about if that may be."""
        self._drop_old(now)
        if any(address in each for each in (self._waiting, self._in_flight, self._resting)):
            return
        if len(self._waiting) + len(self._resting) < MAX_ADDRESSES:
            self._waiting[address] = now
            self.changed.set()

    def take(self, now: datetime) -> list[Address]:
        """Return what is to be asked now; each is in flight until it is `answered`, or is not."""
        self.changed.clear()
        self._drop_old(now)
        taken = list(self._waiting)[: MAX_QUESTIONS - len(self._in_flight)]
        for address in taken:
            self._in_flight[address] = self._waiting.pop(address)
        return taken

    def answered(self, addresses: Iterable[Address], now: datetime) -> None:
        """Note that *addresses* were asked about, whatever came of it."""
        for address in addresses:
            self._in_flight.pop(address, None)
            self._resting.pop(address, None)
            if address in self._outdated:
                self._outdated.discard(address)
                self._waiting.setdefault(address, now)
            else:
                self._resting[address] = now
        if self._waiting:
            self.changed.set()

    def requeue(self, addresses: Iterable[Address]) -> None:
        """Note that nobody was there to answer about *addresses*: they wait, as they did before.

        It is for the next stream, or the next question, to take them along. By itself this one
        would be asked in vain again and again.
        """
        for address in addresses:
            self._outdated.discard(address)
            if address in self._in_flight:
                self._waiting[address] = self._in_flight.pop(address)
        self._waiting = dict(sorted(self._waiting.items(), key=itemgetter(1)))

    def requeue_all(self) -> None:
        """Note that nothing that is in flight is answered any more."""
        self.requeue(tuple(self._in_flight))

    def invalidate(self, addresses: Iterable[Address]) -> None:
        """Note that whatever was asked about *addresses* is worth nothing now."""
        for address in addresses:
            self._resting.pop(address, None)
            if address in self._in_flight:
                self._outdated.add(address)

    def _drop_old(self, now: datetime) -> None:
        _drop_outside(self._resting, now, REST)
        _drop_outside(self._waiting, now, STALE)


def _drop_outside(moments: dict[Address, datetime], now: datetime, span: timedelta) -> None:
    # A clock that was set back must not make anybody wait until it has caught up, hence both ends.
    while moments:
        address, since = next(iter(moments.items()))
        if timedelta() <= now - since < span:
            return
        del moments[address]
