"""Metadata tokens: whose, until when, and in which spelling."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_agent.metadata.tokens import NONCE_SIZE, issue, parse_ttl, valid_until

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
KEY = bytes(range(32))
POD = ip_address("10.0.0.1")
HOUR = timedelta(hours=1)
NONCE = bytes(NONCE_SIZE)


def test_a_token_is_good_until_its_end() -> None:
    """To the last millisecond, and not at the end itself."""
    token = issue(KEY, POD, HOUR, NOW, NONCE)

    assert valid_until(KEY, POD, token, NOW) == NOW + HOUR
    assert valid_until(KEY, POD, token, NOW + HOUR - timedelta(milliseconds=1)) == NOW + HOUR
    assert valid_until(KEY, POD, token, NOW + HOUR) is None


def test_a_token_has_56_characters() -> None:
    """As EC2's have; from 65 on the C runtime cannot keep it."""
    assert len(issue(KEY, POD, HOUR, NOW, NONCE)) == 56


@pytest.mark.parametrize("address", ["10.0.0.2", "::a00:1", "fd00::1"])
def test_a_token_of_one_address_is_none_of_another(address: str) -> None:
    """An IPv6 address that ends in the same bytes is another one too."""
    token = issue(KEY, POD, HOUR, NOW, NONCE)

    assert valid_until(KEY, ip_address(address), token, NOW) is None


def test_a_token_of_one_node_is_none_of_another() -> None:
    """Each node has its own key."""
    token = issue(KEY, POD, HOUR, NOW, NONCE)

    assert valid_until(bytes(32), POD, token, NOW) is None


@given(st.integers(0, 55), st.integers(0, 255))
def test_a_token_with_another_character_is_none(position: int, character: int) -> None:
    """Every bit of it counts."""
    token = bytearray(issue(KEY, POD, HOUR, NOW, NONCE))
    changed = token[position] != character
    token[position] = character

    assert (valid_until(KEY, POD, bytes(token), NOW) is None) == changed


@pytest.mark.parametrize("change", [b"%s=", b"%s\n", b" %s", b"%sA", b"%s%%3D"])
def test_a_token_has_one_spelling(change: bytes) -> None:
    """Nothing is trimmed, decoded or ignored."""
    token = issue(KEY, POD, HOUR, NOW, NONCE)

    assert valid_until(KEY, POD, change % token, NOW) is None


def test_the_other_alphabet_is_another_spelling() -> None:
    """Plus and slash do not stand for minus and underscore."""
    token = issue(KEY, POD, HOUR, NOW, b"\xfb\xff\xfe" * 4)
    plain = token.replace(b"-", b"+").replace(b"_", b"/")

    assert plain != token
    assert valid_until(KEY, POD, plain, NOW) is None


@given(st.binary(max_size=80))
def test_whatever_is_shown_is_read_without_an_error(shown: bytes) -> None:
    """Garbage is no token."""
    assert valid_until(KEY, POD, shown, NOW) is None


@given(
    st.ip_addresses() | st.builds(IPv4Address, st.just("127.0.0.1")),
    st.integers(1, 21600),
    st.binary(min_size=NONCE_SIZE, max_size=NONCE_SIZE),
)
def test_what_is_issued_is_valid(
    address: IPv4Address | IPv6Address, seconds: int, nonce: bytes
) -> None:
    """For every address, life and nonce."""
    token = issue(KEY, address, timedelta(seconds=seconds), NOW, nonce)

    assert valid_until(KEY, address, token, NOW) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("text", "seconds"), [(b"1", 1), (b"21600", 21600), (b"0060", 60)])
def test_a_ttl_is_plain_digits_from_1_to_21600(text: bytes, seconds: int) -> None:
    """Zeros before the number are digits."""
    assert parse_ttl(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", [None, b"", b"0", b"21601", b"-1", b"+1", b"1.0", b"1e3", b" 1", b"\xb2", b"9" * 5000]
)
def test_anything_else_is_no_ttl(text: bytes | None) -> None:
    """Neither what Python's int() takes besides, nor what would cost time to read."""
    assert parse_ttl(text) is None
