"""What the kernel says, byte by byte; the record on disk; and what a node looks like."""

import struct
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_agent.witness import cni
from rolecall_agent.witness.cni import Network, network_of
from rolecall_agent.witness.entries import Bound
from rolecall_agent.witness.observation import LinkId
from rolecall_agent.witness.rtnetlink import layout
from rolecall_agent.witness.rtnetlink.messages import (
    Forwarding,
    Garbled,
    Link,
    Neighbour,
    Problem,
    Route,
    Rule,
)
from rolecall_agent.witness.rtnetlink.parsing import parse
from rolecall_agent.witness.state_file import RecordFile, Surroundings, parsed, written
from rolecall_proto.values import PodUid

BOOT = Surroundings("boot-1", 4026531840)
BINDINGS = {
    ip_address("10.0.0.1"): Bound(PodUid("u1"), LinkId(7, 99)),
    ip_address("fd00::1"): Bound(PodUid("u1"), LinkId(7, 99)),
}


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


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Also by another process: through the file."""
    path = tmp_path / "record"
    RecordFile(path, BOOT).keep(BINDINGS)

    assert RecordFile(path, BOOT).load() == BINDINGS
    assert [each.name for each in tmp_path.iterdir()] == ["record"]


@pytest.mark.parametrize("other", [Surroundings("boot-2", 4026531840), Surroundings("boot-1", 1)])
def test_a_record_of_other_surroundings_is_none(other: Surroundings) -> None:
    """After a reboot, and in another network namespace, numbers of links mean something else."""
    assert parsed(written(BINDINGS, BOOT), other) is None


@pytest.mark.parametrize(
    "damage",
    [
        (b"u1", b""),
        (b"10.0.0.1", b"nowhere"),
        (b":2,", b":1,"),
        (b'"u1",7', b'"u1",0'),
        (b'"u1",7', b'"u1","7"'),
        (b'"u1",7,99', b'"u1",7,-1'),
        (b'"u1",7,99', b'"u1",7'),
        (b"[[", b"["),
        (b'"bindings":[', b'"bindings":[3,'),
        (b"{", b""),
    ],
)
def test_a_damaged_record_is_none(damage: tuple[bytes, bytes]) -> None:
    """As a whole: what is left of it would be as doubtful."""
    data = written(BINDINGS, BOOT)
    damaged = data.replace(*damage, 1)

    assert damaged != data
    assert parsed(damaged, BOOT) is None


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_reading_a_record_survives_any_bytes(data: bytes) -> None:
    """It is on a disk that others may have written to."""
    parsed(data, BOOT)


def test_no_record_is_no_error(tmp_path: Path) -> None:
    """Neither the first start, nor an agent that keeps none."""
    assert RecordFile(tmp_path / "absent", BOOT).load() is None
    nowhere = RecordFile(None, BOOT)
    nowhere.keep(BINDINGS)
    assert nowhere.load() is None


def test_a_record_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """And leaves no draft behind."""
    with pytest.raises(OSError, match="absent"):
        RecordFile(tmp_path / "absent" / "record", BOOT).keep(BINDINGS)


VETH = Link(5, "veth0a1b", "veth")
NETWORKS = {
    Network.UNKNOWN: [Link(1, "lo"), Link(2, "ens5")],
    Network.ROUTED: [Link(2, "ens5"), VETH],
    Network.VPC: [Link(2, "ens5"), Link(5, "eni0123456789a", "veth")],
    Network.CALICO: [Link(5, "cali0123456789a", "veth")],
    Network.CALICO_EBPF: [Link(5, "cali0123456789a", "veth"), Link(6, "bpfin.cali", "veth")],
    Network.CILIUM: [Link(5, "cilium_host", "veth"), Link(6, "lxc12", "veth")],
    Network.OVN: [Link(5, "ovn-k8s-mp0", "openvswitch"), VETH],
    Network.BRIDGE: [Link(3, "cni0", "bridge"), Link(5, "veth0a1b", "veth", master=3)],
}


@pytest.mark.parametrize("expected", NETWORKS)
def test_a_nodes_network_is_known_by_its_links(expected: Network) -> None:
    """By names and kinds, as far as they tell."""
    assert network_of(NETWORKS[expected], [Rule(0), Rule(32766)]) is expected


def test_strict_security_groups_are_known_by_their_rule() -> None:
    """VPC CNI sends such a pod's packets out by its branch, at a priority of its own."""
    links = [Link(5, "vlan0123456789a", "veth"), Link(6, "eni0123456789b", "veth")]

    assert network_of(links, [Rule(10, "vlan.eth.1")]) is Network.VPC_STRICT
    assert network_of(links, [Rule(10, "tun0")]) is Network.VPC


def test_every_network_has_its_advice() -> None:
    """Which the log gives at start."""
    assert set(cni.ADVICE) == set(Network)
