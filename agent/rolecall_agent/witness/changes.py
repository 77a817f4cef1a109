"""What the kernel's messages come to: where to look again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rolecall_agent.witness.observation import LinkId
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


@dataclass(slots=True)
class Changes:
    """What has changed since the last time."""

    addresses: set[Address] = field(default_factory=set)
    prefixes: Prefixes = field(default_factory=Prefixes)  # Whatever lies in them.
    links: set[LinkId] = field(default_factory=set)  # Whatever was seen there.
    bridges: bool = False  # Whatever was seen behind one.
    hardware: set[bytes] = field(default_factory=set)  # Whoever answers to it.
    routing: bool = False  # Everything: by which tables to go has changed.
    lost: bool = False  # Everything, and more may have happened than can be seen now.
    topology: bool = False  # A link or a rule has come or gone: the CNI may be another one.
