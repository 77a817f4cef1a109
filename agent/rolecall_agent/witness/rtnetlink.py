"""Messages of rtnetlink: what news there are, and the few questions that we put."""

import struct
from dataclasses import dataclass

from rolecall_proto.values import Address

AF_BRIDGE = 7
AF_INET = 2
AF_INET6 = 10

# Kinds of messages. A NEW one is an answer as well as news, a GET one asks.
NEW_LINK, DEL_LINK, GET_LINK = 16, 17, 18
NEW_ROUTE, DEL_ROUTE, GET_ROUTE = 24, 25, 26
NEW_NEIGHBOUR, DEL_NEIGHBOUR, GET_NEIGHBOUR = 28, 29, 30
NEW_RULE, DEL_RULE, GET_RULE = 32, 33, 34
ERROR, DONE, OVERRUN = 2, 3, 4

# Multicast groups, as bits of an address to bind to. None needs a capability.
GROUPS = (
    1 << 0  # links
    | 1 << 2  # neighbours, and the forwarding tables of bridges
    | 1 << 6  # IPv4 routes
    | 1 << 7  # IPv4 rules
    | 1 << 10  # IPv6 routes
    | 1 << 18  # IPv6 rules
)

_REQUEST, _DUMP = 0x1, 0x300
_FIB_MATCH = 0x2000  # Have the route that matched, with its own prefix, in place of the way to go.

HEADER = struct.Struct("=IHHII")  # length, kind, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")
LINK = struct.Struct("=BxHiII")
ROUTE = struct.Struct("=BBBBBBBBI")
NEIGHBOUR = struct.Struct("=BxxxiHBB")
NUMBER = struct.Struct("=I")


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
class Route:
    """Where a prefix leads; *link* is 0 where that is not one device."""

    address: Address | None  # None: every one, the default route.
    length: int
    link: int = 0
    direct: bool = False  # Unicast, and through no gateway.
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
    """The end of a dump."""


@dataclass(frozen=True, slots=True)
class Garbled:
    """What came cannot be read, or is not all that was sent."""


News = Link | Route | Neighbour | Forwarding | Rule | Problem | Done | Garbled


def ask_route(address: Address, sequence: int) -> bytes:
    """Ask which route a packet to *address* takes."""
    family = AF_INET if address.version == 4 else AF_INET6  # noqa: PLR2004 - of IP
    body = ROUTE.pack(family, address.max_prefixlen, 0, 0, 0, 0, 0, 0, _FIB_MATCH)
    return _request(GET_ROUTE, sequence, body + _attribute(1, address.packed))


def ask_link(number: int, sequence: int) -> bytes:
    return _request(GET_LINK, sequence, LINK.pack(0, 0, number, 0, 0))


def ask_neighbour(address: Address, link: int, sequence: int) -> bytes:
    """Ask who has *address* on *link*, as far as anybody knows now."""
    family = AF_INET if address.version == 4 else AF_INET6  # noqa: PLR2004 - of IP
    body = NEIGHBOUR.pack(family, link, 0, 0, 0)
    return _request(GET_NEIGHBOUR, sequence, body + _attribute(1, address.packed))


def ask_forwarding(hardware: bytes, bridge: int, sequence: int) -> bytes:
    """Ask by which port of *bridge* frames for *hardware* leave."""
    body = NEIGHBOUR.pack(AF_BRIDGE, 0, 0, 0, 0)
    attributes = _attribute(2, hardware) + _attribute(9, NUMBER.pack(bridge))
    return _request(GET_NEIGHBOUR, sequence, body + attributes)


def ask_all(kind: int, family: int, sequence: int) -> bytes:
    """Ask for everything of *kind* (one of the GET kinds) that there is."""
    return _request(kind, sequence, ROUTE.pack(family, *[0] * 8), _DUMP)


def _request(kind: int, sequence: int, body: bytes, flags: int = 0) -> bytes:
    size = HEADER.size + len(body)
    return HEADER.pack(size, kind, _REQUEST | flags, sequence, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(aligned(len(value)) - len(value))
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind) + value + padding


def aligned(size: int) -> int:
    return (size + 3) & ~3
