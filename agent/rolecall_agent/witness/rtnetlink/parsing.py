"""Reads what rtnetlink says: of each message the few fields that matter.

Parsing is total. Whatever the bytes say becomes a message, or nothing where they are of no
interest, or `Garbled` where they cannot be read: then nothing that was heard is sure, and all is
read again.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import NamedTuple

from rolecall_agent.witness.rtnetlink import layout
from rolecall_agent.witness.rtnetlink.messages import (
    Done,
    Forwarding,
    Garbled,
    Link,
    Message,
    Neighbour,
    OwnAddress,
    Problem,
    Route,
    Rule,
)
from rolecall_proto.values import Address, plain

_UNICAST, _LOCAL = 1, 2
_UP = 0x1
_USABLE = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80  # States of a neighbour whose address is known.
_INVERTED = 0x2  # Of a rule: whoever it is not about.
_LOOPBACK = "lo"  # By it comes what the node itself sends.
_BITS = MappingProxyType({layout.AF_INET: 32, layout.AF_INET6: 128})
# The length of a prefix that is one address, by family: as a route has them.
_WHOLE = MappingProxyType({bytes([family]): bytes([bits]) for family, bits in _BITS.items()})
_GATEWAYS = frozenset({5, 18})  # Attributes of a route.
_SIGNED = struct.Struct("=i")
_NESTED = 0x3FFF  # Without the two flag bits of an attribute's kind.


class Head(NamedTuple):
    """What a message says of itself: which question it answers, and whose."""

    flags: int
    sequence: int
    port: int


NOBODYS = Head(0, 0, 0)
Wanted = Callable[[int, bytes], bool]


def is_any(kind: int, body: bytes) -> bool:  # noqa: ARG001 - as `Wanted` has it
    """Tell that each message is wanted."""
    return True


def is_near_or_default(kind: int, body: bytes) -> bool:
    """Tell whether it is a route to one address without a gateway, or a default one.

    By as few bytes as can be: nodes tell each other their routes by thousands, and few are to pods.
    """
    if kind != layout.NEW_ROUTE or body[1:2] == b"\0":
        return True
    if body[1:2] != _WHOLE.get(body[:1]):
        return False
    start = layout.ROUTE.size
    while len(body) - start >= layout.ATTRIBUTE.size:
        size, attribute = layout.ATTRIBUTE.unpack_from(body, start)
        if attribute in _GATEWAYS:
            return False
        start += max(layout.aligned(size), layout.ATTRIBUTE.size)
    return True


def parse(data: bytes) -> Iterator[Message]:
    """Yield the messages in *data*, in order. Raises nothing, whatever the bytes are."""
    for _, message in parse_with_heads(data):
        if message is not None:
            yield message


def parse_with_heads(data: bytes, wanted: Wanted = is_any) -> Iterator[tuple[Head, Message | None]]:
    """Yield the same with their heads; None for one that is not *wanted*, or of no interest."""
    start = 0
    while len(data) - start >= layout.HEADER.size:
        size, kind, flags, sequence, port = layout.HEADER.unpack_from(data, start)
        if not layout.HEADER.size <= size <= len(data) - start:
            yield NOBODYS, Garbled()
            return
        body = data[start + layout.HEADER.size : start + size]
        yield Head(flags, sequence, port), _one(kind, body) if wanted(kind, body) else None
        start += layout.aligned(size)
    if start < len(data):
        yield NOBODYS, Garbled()


def _one(kind: int, body: bytes) -> Message | None:
    reader = _READERS.get(kind)
    if reader is None:
        return None
    try:
        return reader(body)
    except (struct.error, ValueError):
        return Garbled()


def _attributes(data: bytes) -> dict[int, bytes]:
    """Read attributes; of two of one kind the last. Raises ValueError where one has no end."""
    found, start = {}, 0
    while len(data) - start >= layout.ATTRIBUTE.size:
        size, kind = layout.ATTRIBUTE.unpack_from(data, start)
        if not layout.ATTRIBUTE.size <= size <= len(data) - start:
            raise ValueError("an attribute that is longer than its message")
        found[kind & _NESTED] = data[start + layout.ATTRIBUTE.size : start + size]
        start += layout.aligned(size)
    return found


def _link(body: bytes, *, gone: bool) -> Link | None:
    family, _, number, flags, _ = layout.LINK.unpack_from(body)
    found = _attributes(body[layout.LINK.size :])
    if family == layout.AF_BRIDGE:
        # A bridge's word about its port. That it is let go is no end of the link.
        return None
    info = _attributes(found.get(18, b""))
    return Link(
        number=number,
        name=_text(found.get(3, b"")),
        kind=_text(info.get(1, b"")),
        master=_number(found.get(10)),
        up=bool(flags & _UP),
        gone=gone,
    )


def _own_address(body: bytes) -> OwnAddress | None:
    (link,) = layout.ADDRESS.unpack_from(body)
    cache = _attributes(body[layout.ADDRESS.size :]).get(6)
    if cache is None:
        return None
    return OwnAddress(link, timedelta(seconds=layout.CACHE.unpack_from(cache)[2] / 100))


def _route(body: bytes, *, gone: bool) -> Route | None:
    family, length, _, _, _, _, _, kind, _ = layout.ROUTE.unpack_from(body)
    if family not in _BITS:
        return None
    found = _attributes(body[layout.ROUTE.size :])
    destination, gateway = found.get(1), found.get(5)
    return Route(
        address=None if destination is None else _address(family, destination),
        length=_length(family, length),
        link=0 if 9 in found else _number(found.get(4)),  # noqa: PLR2004 - several ways at once
        direct=kind == _UNICAST and 5 not in found and 18 not in found,  # noqa: PLR2004 - gateways
        local=kind == _LOCAL,
        gateway=None if gateway is None else _address(family, gateway),
        version=4 if family == layout.AF_INET else 6,
        gone=gone,
    )


def _neighbour(body: bytes, *, gone: bool) -> Neighbour | Forwarding | None:
    family, link, state, _, _ = layout.NEIGHBOUR.unpack_from(body)
    found = _attributes(body[layout.NEIGHBOUR.size :])
    hardware = found.get(2, b"")
    if family == layout.AF_BRIDGE:
        return Forwarding(hardware, _number(found.get(9)), link, gone)
    destination = found.get(1)
    if family not in (layout.AF_INET, layout.AF_INET6) or destination is None:
        return None
    known = hardware if state & _USABLE else b""
    return Neighbour(_address(family, destination), link, known, gone)


def _rule(body: bytes) -> Rule | None:
    family, length, source_length, _, _, _, _, _, flags = layout.ROUTE.unpack_from(body)
    if family not in _BITS:
        return None
    found = _attributes(body[layout.ROUTE.size :])
    link, destination, source = _text(found.get(3, b"")), found.get(1), found.get(2, b"")
    # By IPv6 a rule can be about a source that is yet to be chosen.
    from_others = family == layout.AF_INET and int.from_bytes(source) >> (32 - source_length) != 0
    inverted = bool(flags & _INVERTED)
    return Rule(
        priority=_number(found.get(6)),
        link=link,
        version=4 if family == layout.AF_INET else 6,
        address=None if destination is None or inverted else _address(family, destination),
        length=_length(family, length),
        is_for_others=(from_others or link not in ("", _LOOPBACK)) and not inverted,
    )


def _address(family: int, packed: bytes) -> Address:
    return IPv4Address(packed) if family == layout.AF_INET else plain(IPv6Address(packed))


def _length(family: int, length: int) -> int:
    if length > _BITS[family]:
        raise ValueError("a prefix that is longer than an address")
    return length


def _number(value: bytes | None) -> int:
    return 0 if value is None else int(layout.NUMBER.unpack_from(value)[0])


def _done(body: bytes) -> Done:
    return Done(-_SIGNED.unpack_from(body)[0] if len(body) >= _SIGNED.size else 0)


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("ascii", "replace")


_READERS: Mapping[int, Callable[[bytes], Message | None]] = MappingProxyType(
    {
        layout.ERROR: lambda body: Problem(-_SIGNED.unpack_from(body)[0]),
        layout.DONE: _done,
        layout.OVERRUN: lambda _: Garbled(),
        layout.NEW_LINK: partial(_link, gone=False),
        layout.DEL_LINK: partial(_link, gone=True),
        layout.NEW_ADDRESS: _own_address,
        layout.NEW_ROUTE: partial(_route, gone=False),
        layout.DEL_ROUTE: partial(_route, gone=True),
        layout.NEW_NEIGHBOUR: partial(_neighbour, gone=False),
        layout.DEL_NEIGHBOUR: partial(_neighbour, gone=True),
        layout.NEW_RULE: _rule,
        layout.DEL_RULE: _rule,
    }
)
