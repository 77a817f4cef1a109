"""Which addresses some prefixes hold."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from rolecall_agent.witness.changes import Prefixes
from rolecall_proto.values import Address

ADDRESSES: Sequence[Address] = [
    ip_address(each)
    for each in ("10.0.0.1", "10.0.1.1", "10.128.0.1", "fd00::1", "fd00::1:0:1", "fd80::1")
]


Prefix = tuple[Address, int]


def _prefixes(version: int) -> st.SearchStrategy[Prefix]:
    of = [each for each in ADDRESSES if each.version == version]
    return st.tuples(st.sampled_from(of), st.integers(0, of[0].max_prefixlen))


def held(*prefixes: tuple[int, Address | None, int]) -> set[Address]:
    made = Prefixes()
    for version, address, length in prefixes:
        made.add(version, address, length)
    return set(made.holding(ADDRESSES))


@given(st.lists(_prefixes(4) | _prefixes(6), max_size=6))
def test_prefixes_hold_what_lies_in_one_of_them(prefixes: list[Prefix]) -> None:
    """As the networks of the standard library do, which are too slow by thousands."""
    networks = [ip_network(each, strict=False) for each in prefixes]
    expected = {at for at in ADDRESSES if any(at in network for network in networks)}

    assert held(*((at.version, at, length) for at, length in prefixes)) == expected


def test_the_default_route_holds_every_address_of_its_version() -> None:
    """It has no destination."""
    assert held((4, None, 0)) == {at for at in ADDRESSES if isinstance(at, IPv4Address)}
    assert held((6, None, 0)) == {at for at in ADDRESSES if isinstance(at, IPv6Address)}
    assert held() == set()


def test_a_route_of_ipv4_in_ipv6_holds_nothing() -> None:
    """Questions about IPv4 are asked as such: such a route answers none."""
    assert held((6, ip_address(0), 96), (6, ip_address("10.0.0.0"), 120)) == set()
