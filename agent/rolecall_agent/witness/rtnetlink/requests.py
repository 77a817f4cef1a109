"""The few requests that we make of the kernel; each gets its number when it is sent."""

from rolecall_agent.witness.rtnetlink import layout
from rolecall_proto.values import Address

_REQUEST, _DUMP = 0x1, 0x300
_FIB_MATCH = 0x2000  # Have the route that matched, with its own prefix, in place of the way to go.


def ask_route(address: Address) -> bytes:
    """Ask which route a packet to *address* takes."""
    family = layout.AF_INET if address.version == 4 else layout.AF_INET6  # noqa: PLR2004 - of IP
    body = layout.ROUTE.pack(family, address.max_prefixlen, 0, 0, 0, 0, 0, 0, _FIB_MATCH)
    return _request(layout.GET_ROUTE, body + _attribute(1, address.packed))


def ask_link(number: int) -> bytes:
    return _request(layout.GET_LINK, layout.LINK.pack(0, 0, number, 0, 0))


def ask_neighbour(address: Address, link: int) -> bytes:
    """Ask who has *address* on *link*, as far as anybody knows now."""
    family = layout.AF_INET if address.version == 4 else layout.AF_INET6  # noqa: PLR2004 - of IP
    body = layout.NEIGHBOUR.pack(family, link, 0, 0, 0)
    return _request(layout.GET_NEIGHBOUR, body + _attribute(1, address.packed))


def ask_forwarding(hardware: bytes, bridge: int) -> bytes:
    """Ask by which port of *bridge* frames for *hardware* leave."""
    body = layout.NEIGHBOUR.pack(layout.AF_BRIDGE, 0, 0, 0, 0)
    attributes = _attribute(2, hardware) + _attribute(9, layout.NUMBER.pack(bridge))
    return _request(layout.GET_NEIGHBOUR, body + attributes)


def ask_all(kind: int, family: int) -> bytes:
    """Ask for everything of *kind* (one of the GET kinds) that there is."""
    return _request(kind, layout.ROUTE.pack(family, *[0] * 8), _DUMP)


def numbered(request: bytes, sequence: int) -> bytes:
    """Return *request* with the number that its answer will have."""
    size, kind, flags, _, port = layout.HEADER.unpack_from(request)
    return layout.HEADER.pack(size, kind, flags, sequence, port) + request[layout.HEADER.size :]


def _request(kind: int, body: bytes, flags: int = 0) -> bytes:
    size = layout.HEADER.size + len(body)
    return layout.HEADER.pack(size, kind, _REQUEST | flags, 0, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(layout.aligned(len(value)) - len(value))
    return layout.ATTRIBUTE.pack(layout.ATTRIBUTE.size + len(value), kind) + value + padding
