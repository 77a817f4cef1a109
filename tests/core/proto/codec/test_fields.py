"""Addresses and times, however they are written."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_proto.codec import Malformed, decode_address, decode_update
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.values import Heartbeat


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.1%eth0",
        "fe80::1%eth0",
        "010.0.0.1",
        " 10.0.0.1",
        "10.0.0.1\n",
        "0x0a000001",
        "167772161",
        "\u0661\u0660.0.0.1",
        "10.0.0.1/32",
        "1" * 1_000_000,
    ],
    ids=lambda text: repr(text[:16]),
)
def test_what_is_no_address_is_none(text: str) -> None:
    """Odd spellings, zones, masks and other scripts' digits are refused, not interpreted."""
    assert decode_address(text) is None


def test_a_mapped_address_is_the_one_it_maps() -> None:
    """`::ffff:a.b.c.d` and a.b.c.d are one address, so they must be one key."""
    assert decode_address("::ffff:10.0.0.1") == ip_address("10.0.0.1")


@given(st.text())
def test_reading_an_address_is_total(text: str) -> None:
    """No text makes reading an address raise, and what is read is spelt as it is compared."""
    address = decode_address(text)

    assert address is None or decode_address(str(address)) == address


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1))
def test_reading_a_time_is_total(seconds: int, nanos: int) -> None:
    """Any two numbers in a timestamp become a time or a named problem."""
    message = pb.NodeUpdate()
    message.heartbeat.sent_at.seconds, message.heartbeat.sent_at.nanos = seconds, nanos

    assert isinstance(decode_update(message), Heartbeat | Malformed)
