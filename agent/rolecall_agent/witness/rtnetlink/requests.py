"""The few requests that we make of the kernel."""

from rolecall_agent.witness.rtnetlink import layout
from rolecall_proto.values import Address

_REQUEST, _DUMP = 0x1, 0x300
_FIB_MATCH = 0x2000  # Have the route that matched, with its own prefix, in place of the way to go.


def ask_route(address: Address, sequence: int) -> bytes:
    """Ask which route a packet to *address* takes."""
    family = layout.AF_INET if address.version == 4 else layout.AF_INET6  # noqa: PLR2004 - of IP
    body = layout.ROUTE.pack(family, address.max_prefixlen, 0, 0, 0, 0, 0, 0, _FIB_MATCH)
    return _request(layout.GET_ROUTE, sequence, body + _attribute(1, address.packed))


def ask_link(number: int, sequence: int) -> bytes:
    return _request(layout.GET_LINK, sequence, layout.LINK.pack(0, 0, number, 0, 0))


def ask_neighbour(address: Address, link: int, sequence: int) -> bytes:
    """Ask who has *address* on *link*, as far as anybody knows now."""
    family = layout.AF_INET if address.version == 4 else layout.AF_INET6  # noqa: PLR2004 - of IP
    body = layout.NEIGHBOUR.pack(family, link, 0, 0, 0)
    return _request(layout.GET_NEIGHBOUR, sequence, body + _attribute(1, address.packed))


def ask_forwarding(hardware: bytes, bridge: int, sequence: int) -> bytes:
    """Ask by which port of *bridge* frames for *hardware* leave."""
    body = layout.NEIGHBOUR.pack(layout.AF_BRIDGE, 0, 0, 0, 0)
    attributes = _attribute(2, hardware) + _attribute(9, layout.NUMBER.pack(bridge))
    return _request(layout.GET_NEIGHBOUR, sequence, body + attributes)


def ask_all(kind: int, family: int, sequence: int) -> bytes:
    """Ask for everything of *kind* (one of the GET kinds) that there is."""
    return _request(kind, sequence, layout.ROUTE.pack(family, *[0] * 8), _DUMP)


def _request(kind: int, sequence: int, body: bytes, flags: int = 0) -> bytes:
    size = layout.HEADER.size + len(body)
    return layout.HEADER.pack(size, kind, _REQUEST | flags, sequence, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(layout.aligned(len(value)) - len(value))
    return layout.ATTRIBUTE.pack(layout.ATTRIBUTE.size + len(value), kind) + value + padding
