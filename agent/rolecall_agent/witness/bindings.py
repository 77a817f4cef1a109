"""Who has an address: what the server says and what the kernel shows, brought together.

The server names pods for an address, and is always behind: the pod that has the address now may be
another one, of which the API does not know yet. The kernel shows which link an address has, at
once, and does not know pods. A claim says when something last started in its pod; a link was born
at some time. A pod is bound to a link where it alone has started after the link was born (see
`evidence`), and served for as long as the server names it and the address has that link.

A link that changes or goes suspends the binding. Whoever is bound to the next one needs a start
that is later than that one: the pod that was bound, too.

What is in the state file of the agent before us is trusted at once where the link is provably the
same. A pod that started in the very second in which a link was born that nobody saw coming is
believed after a settling time.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from rolecall_agent.witness.entries import (
    LONG_AGO,
    Binding,
    Claims,
    Entry,
    Query,
    Rival,
    Statistics,
)
from rolecall_agent.witness.entry_table import EntryTable
from rolecall_agent.witness.evidence import Proof, proof
from rolecall_agent.witness.extent import Extent
from rolecall_agent.witness.observation import Doubt, Holder, Holders, LinkId, Observation, Way
from rolecall_proto.values import Address, Confirmation, PodUid

SETTLING = timedelta(seconds=10)
# Links that an address had and that are remembered one by one; of those before a time is kept.
_MOST_RIVALS = 16


class Bindings:
    """Decides; told what is seen, what is said, and the time. No I/O, no clock.

    Times are those of the node's clock, by which kubelets write. Methods return the addresses at
    which another pod, or nobody, is vouched for from now on.
    """

    def __init__(
        self,
        state: Mapping[Address, Binding],
        *,
        accept_unwitnessed: bool = False,
        settling: timedelta = SETTLING,
    ) -> None:
        # Whom each address stands for. Read for each request; where nothing is, nobody is known.
        self.holders = Holders()
        self.suspensions = 0
        # What the kernel may have said something of that is not heard yet: see `doubt`.
        self.unknown = Extent.NOTHING
        self._without = Doubt.ACCEPTED if accept_unwitnessed else Doubt.UNWITNESSED
        self._settling = settling
        self._unseen_until = LONG_AGO
        self._links: frozenset[LinkId] = frozenset()
        self._entries = EntryTable(state.items())
        self._unsettled: dict[Address, datetime] = {}  # Where time will tell, and when.

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

    def begin(self, now: datetime) -> None:
        """Note that what happened until now may not have been seen. All is looked at anew next."""
        self._unseen_until = now

    def doubt(self, extent: Extent, now: datetime) -> set[Address]:
        """Vouch for nobody within *extent*, and for everybody else; return where to look again."""
        before, self.unknown = self.unknown, extent
        if extent is before:
            return set()
        either = max(before, extent)
        touched = {at for at, each in self._entries if each.observation.is_within(either)}
        for address in touched:
            if (entry := self._entries.get(address)) is not None:
                self._decide(address, entry, now)
        return touched & self.holders.keys()

    def set_links(self, links: Iterable[LinkId]) -> None:
        """Take in which links there are; before any address is seen without one of them."""
        self._links = frozenset(links)

    def observe(self, address: Address, observation: Observation, now: datetime) -> set[Address]:
        """Take in that *address* is seen as *observation* now."""
        entry = self._entries.get(address)
        if entry is None:
            if not observation.link:
                return set()  # Nothing is there, and nobody has asked.
            if observation.way is Way.BRIDGE and self._entries.is_full:
                self._entries.pass_over(now)  # Who makes addresses up has us forget no other.
                return set()
            entry = self._entries.add(address, now)
        if observation == entry.observation:
            return self._date(address, entry, observation, now)
        if observation.way is Way.SILENT and entry.observation.link in self._links:
            # A bridge forgets who says nothing; whoever comes next will have to say something.
            return set()
        _note_rival(entry, now)
        entry.observation = observation
        entry.had_link = entry.had_link or bool(observation.link)
        self._entries.refile(address, entry, now)
        return self._decide(address, entry, now)

    def claim(self, address: Address, claims: Claims, now: datetime) -> set[Address]:
        """Take in that the server says now that *claims*, and nobody else, have *address*."""
        entry = self._entries.get(address)
        if entry is None:
            if not claims:
                return set()
            entry = self._entries.add(address, now)
        entry.claims = dict(claims)
        self._entries.refile(address, entry, now)
        return self._decide(address, entry, now)

    def query(self, addresses: Iterable[Address]) -> Query:
        """Return which pods to read anew so that it is known who has each of *addresses*."""
        uids: dict[PodUid, None] = {}
        doubted = []
        for address in addresses:
            entry = self._entries.get(address)
            if entry is None or not entry.observation.link:
                continue
            if entry.observation.is_within(self.unknown):
                continue
            if self.holders.get(address) is Doubt.SUSPENDED:
                uids.update(dict.fromkeys(entry.claims))
                doubted.append(address)
        return Query(tuple(uids), tuple(doubted))

    def answer(
        self, query: Query, read: Mapping[PodUid, Confirmation], now: datetime
    ) -> set[Address]:
        """Take in what the pods of *query* have, as they were read; those that could be."""
        changed: set[Address] = set()
        for address in query.addresses:
            entry = self._entries.get(address)
            if entry is None:
                continue
            fresh = {
                uid: read[uid].started_at
                for uid in entry.claims.keys() & read.keys()
                if address in read[uid].addresses
            }
            entry.claims = {**entry.claims, **fresh}
            changed |= self._decide(address, entry, now)
        return changed

    def tick(self, now: datetime) -> set[Address]:
        """Look again where a settling time may be over."""
        changed: set[Address] = set()
        for address in list(self._unsettled):
            if (entry := self._entries.get(address)) is not None:
                changed |= self._decide(address, entry, now)
        return changed

    def next_moment(self) -> datetime | None:
        """Return when `tick` is to be called next; None where time changes nothing."""
        return min(self._unsettled.values(), default=None)

    def statistics(self) -> Statistics:
        return Statistics.of(self.holders.values(), self.suspensions)

    def _decide(self, address: Address, entry: Entry, now: datetime) -> set[Address]:
        self._unsettled.pop(address, None)
        link = entry.observation.link
        if not entry.claims or entry.observation.is_within(self.unknown):
            return self._hold(address, Doubt.SUSPENDED if entry.claims else None)
        if link is None:
            if entry.had_link or entry.observation.way is Way.SILENT:
                return self._hold(address, Doubt.SUSPENDED)
            return self._hold(address, self._without)
        if entry.binding is not None and entry.binding.link == link:
            known = entry.binding.uid in entry.claims
            return self._hold(address, entry.binding.uid if known else Doubt.SUSPENDED)
        uid = self._proved(address, entry, link, now)
        if uid is None or self._is_anothers(link, uid) or not self._may_be_at(entry, uid):
            return self._hold(address, Doubt.SUSPENDED)
        entry.binding = Binding(uid, link)
        return self._hold(address, uid)

    def _date(
        self, address: Address, entry: Entry, observation: Observation, now: datetime
    ) -> set[Address]:
        """Take in that the link that is seen was there earlier than was known, if it is so."""
        link, known = observation.link, entry.observation.link
        if link is None or known is None or link.born_at >= known.born_at:
            return set()
        entry.observation = observation
        return self._decide(address, entry, now)

    def _proved(self, address: Address, entry: Entry, link: LinkId, now: datetime) -> PodUid | None:
        """Return whose *link* is, if that can be known; note where time will tell."""
        unseen_until = max(self._unseen_until, entry.unseen_until)
        proofs = {uid: proof(entry, link, uid, unseen_until, now) for uid in entry.claims}
        best = max(proofs.values())
        found = [uid for uid, each in proofs.items() if each is best]
        if best is Proof.NONE or len(found) > 1:
            return None
        settled_at = unseen_until + self._settling
        if best is Proof.SAME_SECOND and now < settled_at:
            self._unsettled[address] = settled_at
            return None
        return found[0]

    def _is_anothers(self, link: LinkId, uid: PodUid) -> bool:
        """Whether *link* is the proof of another living pod already: one link is one pod."""
        return any(
            each.binding is not None
            and each.binding.link == link == each.observation.link
            and each.binding.uid != uid
            and each.binding.uid in each.claims
            for _, each in self._entries
        )

    def _may_be_at(self, entry: Entry, uid: PodUid) -> bool:
        """Whether *uid* may have another link than before.

        Behind a bridge any pod can say that an address is its own, and no start of the other one
        shows which one lies. A pod whose own port is still there has no other.
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
            self.suspensions += self.unknown is Extent.NOTHING
        return {address}


def _note_rival(entry: Entry, now: datetime) -> None:
    """Note that the link that had the address has it no more."""
    link, binding = entry.observation.link, entry.binding
    if link is None:
        return
    uid = binding.uid if binding is not None and binding.link == link else None
    entry.rivals.pop(link, None)
    entry.rivals[link] = Rival(uid, now)
    if len(entry.rivals) > _MOST_RIVALS:
        oldest = next(iter(entry.rivals))
        entry.rivals_until = entry.rivals.pop(oldest).until
