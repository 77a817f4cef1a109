"""What the kernel says of its network, as values."""

from dataclasses import dataclass
from datetime import timedelta

from rolecall_proto.values import Address


@dataclass(frozen=True, slots=True)
class Link:
    """A network device: *kind* is the kernel's word (`veth`, `bridge`), empty for hardware."""

    number: int
    name: str = ""
    kind: str = ""
    master: int = 0
    up: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """An address of the node's own was put on *link*, so long after the kernel's start."""

    link: int
    put_at: timedelta


@dataclass(frozen=True, slots=True)
class Route:
    """Where a prefix leads; *link* is 0 where that is not one device."""

    address: Address | None  # None: every one, the default route.
    length: int
    link: int = 0
    direct: bool = False  # Unicast, and through no gateway.
    local: bool = False  # To the node itself.
    gateway: Address | None = None
    version: int = 4
    gone: bool = False

    @property
    def is_for_one(self) -> bool:
        """Whether the prefix is one address."""
        return self.address is not None and self.length == self.address.max_prefixlen


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Who has *address* on *link*, as it last said; *hardware* is empty where nobody did."""

    address: Address
    link: int
    hardware: bytes = b""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Forwarding:
    """A bridge's knowledge: frames for *hardware* leave by *port*."""

    hardware: bytes
    bridge: int
    port: int
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of routing policy; *link* is the name of the device that packets come in by."""

    priority: int = 0
    link: str = ""
    version: int = 4
    # The prefix that packets go to.
    address: Address | None = None  # None: anywhere.
    length: int = 0
    # It is about packets from some address, or by some link. Our questions name neither.
    is_for_others: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """The kernel's no, by its errno; 0 is a yes."""

    number: int


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a dump; *problem* is the errno by which it has ended early, or 0."""

    problem: int = 0


@dataclass(frozen=True, slots=True)
class Garbled:
    """What came cannot be read, or is not all that was sent."""


Message = Link | OwnAddress | Route | Neighbour | Forwarding | Rule | Problem | Done | Garbled
