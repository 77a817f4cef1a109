"""The addresses of which something is known, and which of them are forgotten when.

Where a pod is named, or a link is seen, all is remembered. Where neither is, everything is
forgotten after a while.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from rolecall_agent.witness.entries import LONG_AGO, Binding, Entry
from rolecall_agent.witness.observation import LinkId
from rolecall_proto.values import Address

# Addresses with a link and without a name. Behind a bridge any pod can make them up, and a node has
# some hundred pods.
_MOST_UNNAMED = 1024
# What was at an address before matters for a second, but clocks are set.
_VACANT = timedelta(seconds=60)


class EntryTable:
    """An entry for each address of which something is known."""

    def __init__(self, state: Iterable[tuple[Address, Binding]]) -> None:
        self._entries = {at: Entry(binding=binding, had_link=True) for at, binding in state}
        # Until then links may have been seen of which nothing is known here.
        self._forgotten_until = LONG_AGO
        # Where nobody is named, by when that came to be so: oldest first.
        self._unnamed: dict[Address, None] = {}  # With a link.
        self._vacant: dict[Address, datetime] = {}  # Without.

    def __iter__(self) -> Iterator[tuple[Address, Entry]]:
        return iter(self._entries.items())

    @property
    def addresses(self) -> Collection[Address]:
        return self._entries.keys()

    @property
    def is_full(self) -> bool:
        """Whether one more link without a name would have us forget another."""
        return len(self._unnamed) >= _MOST_UNNAMED

    def get(self, address: Address) -> Entry | None:
        return self._entries.get(address)

    def state(self, links: Collection[LinkId]) -> dict[Address, Binding]:
        """Return whose link each address had, where that is one of *links* or the pod is named."""
        return {
            address: entry.binding
            for address, entry in self._entries.items()
            if entry.binding is not None
            and (entry.binding.link in links or entry.binding.uid in entry.claims)
        }

    def add(self, address: Address, now: datetime) -> Entry:
        self._forget_vacant(now)
        entry = self._entries[address] = Entry(unseen_until=self._forgotten_until)
        return entry

    def pass_over(self, now: datetime) -> None:
        """Note that a link was seen of which nothing is remembered."""
        self._forgotten_until = now

    def refile(self, address: Address, entry: Entry, now: datetime) -> None:
        """Note that who is named at *address*, or what is seen there, has changed."""
        self._unnamed.pop(address, None)
        self._vacant.pop(address, None)
        if entry.claims:
            return
        if not entry.observation.link:
            self._vacant[address] = now
            return
        if self.is_full:
            oldest = next(iter(self._unnamed))
            del self._unnamed[oldest], self._entries[oldest]
            self.pass_over(now)
        self._unnamed[address] = None

    def _forget_vacant(self, now: datetime) -> None:
        while self._vacant:
            oldest = next(iter(self._vacant))
            if now < self._vacant[oldest] + _VACANT:
                return
            del self._vacant[oldest], self._entries[oldest]
