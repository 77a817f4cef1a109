"""What the kernel's messages come to: where to look again."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from rolecall_agent.witness.extent import Extent
from rolecall_agent.witness.observation import LinkId, Observation
from rolecall_proto.values import Address

_BITS = {4: 32, 6: 128}


class Prefixes:
    """Some prefixes, by thousands where nodes tell each other their routes."""

    def __init__(self) -> None:
        self._starts: dict[tuple[int, int], set[int]] = {}  # By version, and bits to leave out.

    def add(self, version: int, address: Address | None, length: int) -> None:
        """Add the prefix *address*/*length*; None is every address of *version*."""
        if address is None:
            address_bits, length = 0, 0
        elif address.version == version:
            address_bits = int(address)
        else:
            return  # IPv4 as IPv6 writes it: no question about IPv4 is answered by that.
        rest = _BITS[version] - length
        self._starts.setdefault((version, rest), set()).add(address_bits >> rest)

    def holding(self, addresses: Iterable[Address]) -> Iterator[Address]:
        """Yield those of *addresses* that lie in one of these."""
        if not self._starts:
            return
        for address in addresses:
            bits = int(address)
            for (version, rest), starts in self._starts.items():
                if version == address.version and bits >> rest in starts:
                    yield address
                    break


Observed = Callable[[Address], Observation | None]


@dataclass(slots=True)
class Changes:
    """What has changed since the last time."""

    addresses: set[Address] = field(default_factory=set)
    prefixes: Prefixes = field(default_factory=Prefixes)  # Whatever lies in them.
    links: set[LinkId] = field(default_factory=set)  # Whatever was seen there.
    bridges: bool = False  # Whatever was seen behind one.
    routing: bool = False  # Everything: by which tables to go has changed.
    lost: Extent = Extent.NOTHING  # More may have happened there than can be seen now.
    reason: str = ""  # Of that.
    unheard: Extent = Extent.NOTHING  # The same; nobody listened there.
    unread: Extent = Extent.NOTHING  # More has happened there, and is read in the next turn.
    topology: bool = False  # A link or a rule has come or gone: the CNI may be another one.

    def affected(self, known: Collection[Address], observed: Observed) -> set[Address]:
        """Return where to look again; *known* are all addresses, seen last as *observed* says."""
        if self.routing:
            return self.addresses | set(known)
        found = self.addresses | set(self.prefixes.holding(known))
        if self.links or self.bridges:
            found |= {each for each in known if self._concern(observed(each))}
        return found

    def _concern(self, observation: Observation | None) -> bool:
        if observation is None:
            return False
        return (self.bridges and observation.is_behind_bridge) or observation.link in self.links
