"""Who has an address: what the server says and what the kernel shows, brought together.

The server names a pod for an address, and is always behind: the pod that has the address now may
be another one, of which the API does not know yet. The kernel shows which link an address has, at
once, and does not know pods. Both together are a proof. A pod is bound to a link, and served for
as long as the address has that link:

- where the server names the pod after the link has come, and nobody else was named who could be
  meant, and no link came and went at that address of which we do not know whose it was; or
- where a live read of the pod, asked for after the link had come, says that the address is its own.

A link that changes or goes suspends the binding. The pod that was bound, and every pod that was
named before, can come back by a live read only, for the next link is most likely another pod's.

What was not seen counts as possible for a settling time: no watch is that far behind. It passes
after the start, after each loss of the kernel's messages, and after each link that came and went
unnamed; a link that comes meanwhile settles for as long itself. Nor is a name that was in the
first snapshot newer than a link that was there already: it may have been said for hours. What is
in the state file of the agent before us is trusted at once where the link is provably the same.
"""

from collections.abc import Collection, Iterable, Mapping

from rolecall_agent.witness.entries import Binding, Entry, Query, Statistics
from rolecall_agent.witness.entry_table import EntryTable
from rolecall_agent.witness.observation import Doubt, Holder, LinkId, Observation, Way
from rolecall_proto.values import Address, PodUid

SETTLING = 10.0  # seconds
# Pods that had an address once, and are not to be taken for its holder by an old message.
_MOST_NAMED = 64


class Bindings:
    """Decides; told what is seen, what is said, and the time. No I/O, no clock.

    Times are seconds of a clock that never goes back. Methods return the addresses at which another
    pod, or nobody, is vouched for from now on.
    """

    def __init__(
        self,
        state: Mapping[Address, Binding],
        *,
        accept_unwitnessed: bool = False,
        settling: float = SETTLING,
    ) -> None:
        # Whom each address stands for. Read for each request; where nothing is, nobody is known.
        self.holders: dict[Address, Holder] = {}
        self.suspensions = 0
        self._without = Doubt.ACCEPTED if accept_unwitnessed else Doubt.UNWITNESSED
        self._settling = settling
        self._moment = 0  # Counts what we were told: which came first is no matter of clocks.
        self._settled_at = 0.0
        self._synced_at: int | None = None  # When the server had first said everything.
        self._links: frozenset[LinkId] = frozenset()
        self._entries = EntryTable(state.items(), settling)
        self._clearing: dict[Address, float] = {}  # Where time will tell, and when.

    @property
    def addresses(self) -> Collection[Address]:
        """Everywhere that something is remembered of."""
        return self._entries.addresses

    def observation(self, address: Address) -> Observation | None:
        """Return what was seen last at *address*; None where nobody looked."""
        entry = self._entries.get(address)
        return entry.observation if entry is not None else None

    def state(self) -> dict[Address, Binding]:
        """Return what the next agent of this node may trust, or has to doubt."""
        return self._entries.state(self._links)

    def begin(self, now: float) -> None:
        """Note that what happened until now may not have been seen. All is looked at anew next."""
        self._settled_at = now + self._settling
        self._entries.has_gaps = False

    def note_synced(self) -> None:
        """Note that the server has said everything: a name that comes from now on is a new one."""
        if self._synced_at is None:
            self._moment += 1
            self._synced_at = self._moment

    def set_links(self, links: Iterable[LinkId]) -> None:
        """Take in which links there are; before any address is seen without one of them."""
        self._links = frozenset(links)

    def observe(self, address: Address, observation: Observation, now: float) -> set[Address]:
        """Take in that *address* is seen as *observation* now."""
        entry = self._entries.get(address)
        if entry is None:
            if not observation.link:
                return set()  # Nothing is there, and nobody has asked.
            if observation.way is Way.BRIDGE and self._entries.is_full:
                self._entries.has_gaps = True  # Who makes addresses up has us forget no other.
                return set()
            entry = self._entries.add(address, now)
        if observation == entry.observation:
            return set()
        if observation.way is Way.SILENT and entry.observation.link in self._links:
            # A bridge forgets who says nothing; whoever comes next will have to say something.
            return set()
        left = entry.observation.link
        if left and (entry.binding is None or entry.binding.link != left):
            entry.clear_at = now + self._settling
        elif observation.link and now < max(entry.clear_at, self._settled_at):
            # Its own name may come as late as the name of whoever was here before.
            entry.clear_at = now + self._settling
        self._moment += 1
        if entry.changes or not self._entries.has_gaps:
            entry.since = self._moment  # Else it may have been so for long.
        entry.observation, entry.seen_at = observation, now
        entry.changes += 1
        entry.had_link = entry.had_link or bool(observation.link)
        self._entries.refile(address, entry, now)
        return self._decide(address, entry, now)

    def claim(self, address: Address, uids: Collection[PodUid], now: float) -> set[Address]:
        """Take in that the server says now that *uids*, and nobody else, have *address*."""
        entry = self._entries.get(address)
        if entry is None:
            if not uids:
                return set()
            entry = self._entries.add(address, now)
        entry.claimants = frozenset(uids)
        self._entries.refile(address, entry, now)
        self._moment += 1
        for uid in uids:
            # Who returns is not new: what was said of it may be as old as the first time.
            entry.named_at.setdefault(uid, self._moment)
        while len(entry.named_at) > max(_MOST_NAMED, len(uids)):
            del entry.named_at[next(each for each in entry.named_at if each not in uids)]
        return self._decide(address, entry, now)

    def query(self, addresses: Iterable[Address]) -> Query:
        """Return which pods to read anew so that it is known who has each of *addresses*."""
        uids: dict[PodUid, None] = {}
        changes = {}
        for address in addresses:
            entry = self._entries.get(address)
            if entry is not None and self._is_in_doubt(address, entry):
                uids.update(dict.fromkeys(entry.claimants))
                changes[address] = entry.changes
        return Query(tuple(uids), changes)

    def answer(self, query: Query, read: Mapping[PodUid, Collection[Address]]) -> set[Address]:
        """Take in which addresses each pod had, by a read that began after *query* was made.

        A pod that is not in *read* could not be read.
        """
        changed: set[Address] = set()
        for address in query.addresses:
            entry = self._entries.get(address)
            if entry is None or entry.changes != query.changes_at(address):
                continue  # What was read may have been true before the change alone.
            if not self._is_in_doubt(address, entry) or not entry.claimants <= read.keys():
                continue
            having = [uid for uid in entry.claimants if address in read[uid]]
            if len(having) == 1 and self._may_return(entry, having[0]):
                changed |= self._bind(address, entry, having[0])
        return changed

    def tick(self, now: float) -> set[Address]:
        """Look again where a settling time may be over."""
        due = [address for address, moment in self._clearing.items() if moment <= now]
        changed: set[Address] = set()
        for address in due:
            if (entry := self._entries.get(address)) is not None:
                changed |= self._decide(address, entry, now)
        return changed

    def next_moment(self) -> float | None:
        """Return when `tick` is to be called next; None where time changes nothing."""
        return min(self._clearing.values(), default=None)

    def statistics(self) -> Statistics:
        return Statistics.of(self.holders.values(), self.suspensions)

    def _is_in_doubt(self, address: Address, entry: Entry) -> bool:
        return bool(entry.observation.link and entry.claimants) and (
            self.holders.get(address) is Doubt.SUSPENDED
        )

    def _decide(self, address: Address, entry: Entry, now: float) -> set[Address]:
        self._clearing.pop(address, None)
        if not entry.claimants:
            return self._hold(address, None)
        if not entry.observation.link:
            if entry.had_link or entry.observation.way is Way.SILENT:
                return self._hold(address, Doubt.SUSPENDED)
            return self._hold(address, self._without)
        if entry.binding is not None and entry.binding.link == entry.observation.link:
            known = entry.binding.uid in entry.claimants
            return self._hold(address, entry.binding.uid if known else Doubt.SUSPENDED)
        named = [uid for uid in entry.claimants if entry.named_at[uid] > entry.since]
        if len(named) == 1 and (entry.binding is None or entry.binding.uid != named[0]):
            clear_at = self._clear_at(entry)
            if now >= clear_at:
                return self._bind(address, entry, named[0])
            self._clearing[address] = clear_at
        return self._hold(address, Doubt.SUSPENDED)

    def _clear_at(self, entry: Entry) -> float:
        """Return from when on whoever is named alone is meant."""
        clear_at = max(entry.clear_at, self._settled_at)
        if self._synced_at is None or entry.since < self._synced_at:
            clear_at = max(clear_at, entry.seen_at + self._settling)
        return clear_at

    def _bind(self, address: Address, entry: Entry, uid: PodUid) -> set[Address]:
        link = entry.observation.link
        if link is None or self._is_anothers(link, uid):
            return self._hold(address, Doubt.SUSPENDED)
        entry.binding = Binding(uid, link)
        self._clearing.pop(address, None)
        return self._hold(address, uid)

    def _is_anothers(self, link: LinkId, uid: PodUid) -> bool:
        """Whether *link* is the proof of another living pod already: one link is one pod."""
        return any(
            each.binding is not None
            and each.binding.link == link == each.observation.link
            and each.binding.uid != uid
            and each.binding.uid in each.claimants
            for _, each in self._entries
        )

    def _may_return(self, entry: Entry, uid: PodUid) -> bool:
        """Whether a live read of *uid* is enough.

        Behind a bridge any pod can say that an address is its own, and the API cannot know which
        one lies. A pod whose own port is still there is not believed to have another one.
        """
        binding = entry.binding
        if binding is None or binding.uid != uid or entry.observation.way is not Way.BRIDGE:
            return True
        return binding.link not in self._links

    def _hold(self, address: Address, holder: Holder | None) -> set[Address]:
        before = self.holders.get(address)
        if holder == before:
            return set()
        if holder is None:
            del self.holders[address]
        else:
            self.holders[address] = holder
        if holder is Doubt.SUSPENDED and before is not None and not isinstance(before, Doubt):
            self.suspensions += 1
        return {address}
