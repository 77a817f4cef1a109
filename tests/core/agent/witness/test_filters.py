"""What the kernel keeps from a socket: the program is run here as the kernel would run it."""

import struct

import pytest

from fakes.netlink import attribute, message
from rolecall_agent.witness.rtnetlink import layout
from rolecall_agent.witness.rtnetlink.filters import neighbours_on


def passes(program: bytes, data: bytes) -> bool:
    """Run *program* over *data*: its four kinds of steps, as linux/filter.h has them."""
    steps, at, value = list(struct.iter_unpack("=HBBI", program)), 0, 0
    while True:
        code, if_true, if_false, operand = steps[at]
        at += 1
        match code:
            case 0x20:
                value = int.from_bytes(data[operand : operand + 4])
            case 0x30:
                value = data[operand]
            case 0x15:
                at += if_true if value == operand else if_false
            case 0x06:
                return operand != 0
            case _:
                raise AssertionError(code)


def neighbour(family: int, link: int) -> bytes:
    head = layout.NEIGHBOUR.pack(family, link, 2, 0, 0)
    return message(layout.NEW_NEIGHBOUR, head + attribute(1, bytes(4)))


@pytest.mark.parametrize("bridges", [{3}, {3, 70_000}, set(range(3, 60))])
def test_neighbours_pass_on_bridges_alone(bridges: set[int]) -> None:
    """Whatever the number of the link, and whichever kind of address."""
    program = neighbours_on(bridges)
    for family in (layout.AF_INET, layout.AF_INET6):
        for link in (*bridges, 1, 2, 1000, 0x03000000):
            assert passes(program, neighbour(family, link)) == (link in bridges), link


def test_forwarding_tables_pass() -> None:
    """They name the port, not the bridge."""
    assert passes(neighbours_on({3}), neighbour(layout.AF_BRIDGE, 99))


def test_very_many_bridges_have_no_filter() -> None:
    """All passes then, which costs time and nothing else."""
    assert neighbours_on(range(1000)) == b""
