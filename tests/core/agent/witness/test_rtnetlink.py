"""What the kernel says, byte by byte."""

import struct
from datetime import timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_agent.witness.rtnetlink import layout
from rolecall_agent.witness.rtnetlink.messages import (
    Forwarding,
    Garbled,
    Link,
    Neighbour,
    OwnAddress,
    Problem,
    Route,
    Rule,
)
from rolecall_agent.witness.rtnetlink.parsing import parse

HERE = ip_address("10.0.0.1")


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def number(value: int) -> bytes:
    return struct.pack("=I", value)


def link(kind: bytes = b"veth", flags: int = 1) -> bytes:
    info = attribute(18, attribute(1, kind + b"\0"))
    name = attribute(3, b"cali12\0")
    return struct.pack("=BxHiII", 0, 0, 7, flags, 0) + name + attribute(10, number(3)) + info


def route(*attributes: bytes, length: int = 32, kind: int = 1) -> bytes:
    return bytes([2, length, 0, 0, 254, 3, 253, kind]) + number(0) + b"".join(attributes)


TO_ONE = attribute(1, HERE.packed)
OUT = attribute(4, number(7))


def neighbour(family: int, state: int, *attributes: bytes) -> bytes:
    return struct.pack("=BxxxiHBB", family, 7, state, 0, 0) + b"".join(attributes)


def test_a_link_is_read() -> None:
    """Its number, name, kind, master, and whether it is up."""
    found = list(parse(message(layout.NEW_LINK, link()) + message(layout.DEL_LINK, link())))

    assert found == [
        Link(7, "cali12", "veth", 3, up=True),
        Link(7, "cali12", "veth", 3, up=True, gone=True),
    ]


def test_a_bridges_word_about_a_port_is_no_end_of_the_link() -> None:
    """It comes as a link that is deleted, in the bridge's family."""
    left = struct.pack("=BxHiII", layout.AF_BRIDGE, 0, 7, 1, 0)

    assert list(parse(message(layout.DEL_LINK, left))) == []


@pytest.mark.parametrize(
    ("body", "is_direct", "out"),
    [
        (route(TO_ONE, OUT), True, 7),
        (route(TO_ONE, OUT, attribute(5, number(1))), False, 7),  # By a gateway.
        (route(TO_ONE, OUT, kind=2), False, 7),  # The node's own.
        (route(TO_ONE, attribute(9, bytes(8))), True, 0),  # Several ways at once.
        (route(TO_ONE), True, 0),
    ],
)
def test_a_route_is_read(body: bytes, out: int, *, is_direct: bool) -> None:
    """Where it leads, and whether it leads there directly, by one link."""
    (found,) = parse(message(layout.NEW_ROUTE, body))

    assert isinstance(found, Route)
    assert (found.direct, found.link, found.is_for_one) == (is_direct, out, True)


def test_the_default_route_is_for_everyone() -> None:
    """It has no destination at all."""
    (found,) = parse(message(layout.NEW_ROUTE, route(OUT, length=0)))

    assert isinstance(found, Route)
    assert found.address is None
    assert not found.is_for_one


def test_who_is_behind_a_bridge_is_read() -> None:
    """A neighbour without an answer has no hardware address, whatever the message carries."""
    who = (TO_ONE, attribute(2, b"abcdef"))
    known, failed, forwarding = parse(
        message(layout.NEW_NEIGHBOUR, neighbour(2, 0x02, *who))
        + message(layout.NEW_NEIGHBOUR, neighbour(2, 0x20, *who))
        + message(
            layout.DEL_NEIGHBOUR,
            neighbour(7, 0x02, attribute(2, b"abcdef"), attribute(9, number(3))),
        )
    )

    assert known == Neighbour(HERE, 7, b"abcdef")
    assert failed == Neighbour(HERE, 7)
    assert forwarding == Forwarding(b"abcdef", 3, 7, gone=True)


def rule(*attributes: bytes, to: int = 0, source: int = 0, flags: int = 0) -> bytes:
    return bytes([2, to, source, 0, 254, 0, 0, 1]) + number(flags) + b"".join(attributes)


TO = attribute(1, HERE.packed)
FROM = attribute(2, HERE.packed)
BY = attribute(3, b"vlan.eth.1\0")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (rule(), Rule()),
        (rule(TO, attribute(6, number(512)), to=32), Rule(512, address=HERE, length=32)),
        (rule(FROM, source=32), Rule(is_for_others=True)),
        (rule(BY), Rule(link="vlan.eth.1", is_for_others=True)),
        (rule(attribute(3, b"lo\0")), Rule(link="lo")),
        # Whoever it is not about, which may be all.
        (rule(TO, to=32, flags=2), Rule(length=32)),
        (rule(FROM, source=32, flags=2), Rule()),
        # A source that is none: as our questions have it.
        (rule(attribute(2, bytes(4)), source=8), Rule()),
    ],
)
def test_a_rule_is_read(body: bytes, expected: Rule) -> None:
    """Where packets go that it is about, and whether a question of ours can be."""
    assert list(parse(message(layout.NEW_RULE, body))) == [expected]


def test_when_the_node_put_an_address_on_a_link_is_read() -> None:
    """In hundredths of a second since its start; nothing else of it matters."""
    cache = attribute(6, struct.pack("=IIII", 1, 2, 150_025, 4))
    body = struct.pack("=BBBBI", 10, 64, 0, 0, 7)
    sent = message(layout.NEW_ADDRESS, body + cache) + message(layout.NEW_ADDRESS, body)

    assert list(parse(sent)) == [OwnAddress(7, timedelta(seconds=1500.25))]


def test_a_refusal_is_read() -> None:
    """By its number."""
    assert list(parse(message(2, struct.pack("=i", -101)))) == [Problem(101)]


@pytest.mark.parametrize(
    "data",
    [
        message(layout.NEW_LINK, link())[:-1],
        message(layout.NEW_LINK, b"short"),
        message(layout.NEW_ROUTE, route(attribute(1, b"odd"))),
        message(layout.NEW_ROUTE, route() + struct.pack("=HH", 99, 1)),
        message(layout.NEW_ROUTE, route(TO_ONE, length=33)),
        message(4, b""),  # The kernel's own word for it.
        b"\1",
    ],
)
def test_what_cannot_be_read_is_said_to_be_so(data: bytes) -> None:
    """The witness reads everything anew then."""
    assert list(parse(data)) == [Garbled()]


@given(st.binary(max_size=400))
def test_reading_survives_any_bytes(data: bytes) -> None:
    """Also where they begin as a message does."""
    list(parse(data))
    for kind in range(16, 36):
        list(parse(message(kind, data)))
