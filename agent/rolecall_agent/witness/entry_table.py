"""The addresses of which something is remembered, and which of them are forgotten when.

Where a pod is named, or a link is seen, all is remembered. Where neither is, everything is
forgotten after a settling time: no name is that far behind.
"""

from collections.abc import Collection, Iterable, Iterator

from rolecall_agent.witness.entries import Binding, Entry
from rolecall_agent.witness.observation import LinkId
from rolecall_proto.values import Address

# Addresses with a link and without a name. Behind a bridge any pod can make them up, and a node has
# some hundred pods.
_MOST_UNNAMED = 1024


class EntryTable:
    """An entry for each address of which something is known."""

    def __init__(self, state: Iterable[tuple[Address, Binding]], settling: float) -> None:
        # Whether links may be there, and have been for long, of which nothing is known here.
        self.has_gaps = False
        self._settling = settling
        self._entries = {at: Entry(binding=binding, had_link=True) for at, binding in state}
        # Where nobody is named, by when that came to be so: oldest first.
        self._unnamed: dict[Address, None] = {}  # With a link.
        self._vacant: dict[Address, float] = {}  # Without.

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
            and (entry.binding.link in links or entry.binding.uid in entry.claimants)
        }

    def add(self, address: Address, now: float) -> Entry:
        self._forget_vacant(now)
        entry = self._entries[address] = Entry()
        return entry

    def refile(self, address: Address, entry: Entry, now: float) -> None:
        """Note that who is named at *address*, or what is seen there, has changed."""
        self._unnamed.pop(address, None)
        self._vacant.pop(address, None)
        if entry.claimants:
            return
        if not entry.observation.link:
            self._vacant[address] = now
            return
        if self.is_full:
            oldest = next(iter(self._unnamed))
            del self._unnamed[oldest], self._entries[oldest]
            self.has_gaps = True
        self._unnamed[address] = None

    def _forget_vacant(self, now: float) -> None:
        while self._vacant:
            oldest = next(iter(self._vacant))
            if now < self._vacant[oldest] + self._settling:
                return
            del self._vacant[oldest], self._entries[oldest]
