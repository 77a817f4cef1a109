"""Which Host headers mean this endpoint: its own address in every spelling that clients have."""

import pytest

from rolecall_agent.http.host_header import names_of
from rolecall_agent.metadata.endpoint import HOSTS

OWN = ("169.254.170.23", 9804)
OWN6 = ("fd00:ec2::23", 9804)
RIGHT = [
    (OWN, b"169.254.170.23"),  # As the C runtime sends it.
    (OWN, b"169.254.170.23:9804"),
    (OWN6, b"fd00:ec2::23"),  # As the C runtime sends it.
    (OWN6, b"[fd00:ec2::23]"),
    (OWN6, b"[fd00:ec2::23]:9804"),
    (("::ffff:10.0.0.1", 80), b"10.0.0.1"),
    (("::ffff:10.0.0.1", 80), b"10.0.0.1:80"),
    (("fe80::1%eth0", 80), b"[fe80::1]:80"),
]
WRONG = [
    (OWN, b""),
    (OWN, b"169.254.170.23:"),
    (OWN, b"169.254.170.23:80"),
    (OWN, b"169.254.170.23:09804"),
    (OWN, b"169.254.170.23."),
    (OWN, b"169.254.170.23.example"),
    (OWN, b"[169.254.170.23]"),
    (OWN, b"0xa9.254.170.23"),
    (OWN, b"2852039191"),
    (OWN, b"user@169.254.170.23"),
    (OWN, b"169.254.170.23,169.254.170.23"),
    (OWN, b"[::ffff:169.254.170.23]"),
    (OWN6, b"[fd00:ec2::23"),
    (OWN6, b"fd00:ec2::23]"),
    (OWN6, b"[[fd00:ec2::23]]"),
    (OWN6, b"fd00:ec2::23:9804"),  # Another address.
    (OWN6, b"[fd00:ec2::23]9804"),
    (OWN6, b"[fd00:ec2::23%25eth0]:9804"),
    (OWN6, b"[fd00:ec2::24]:9804"),
    (OWN6, b"\xef\xbc\xbbfd00:ec2::23\xef\xbc\xbd"),  # Of full width.
]


@pytest.mark.parametrize(("own", "host"), RIGHT)
def test_our_own_address_is_right(own: tuple[str, int], host: bytes) -> None:
    """With its port or none, and IPv6 in brackets or not."""
    assert host in names_of(*own)


@pytest.mark.parametrize(("own", "host"), WRONG)
def test_everything_else_is_wrong(own: tuple[str, int], host: bytes) -> None:
    """Above all what resolves, or could be taken for ours by somebody who is less strict."""
    assert host not in names_of(*own)


def test_the_metadata_addresses_have_the_same_spellings() -> None:
    """Pods name them, wherever the agent listens."""
    assert {
        *(b"169.254.169.254", b"169.254.169.254:80"),
        *(b"fd00:ec2::254", b"[fd00:ec2::254]", b"[fd00:ec2::254]:80"),
    } == HOSTS
