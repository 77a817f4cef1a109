"""Which of the many news about neighbours are any."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from fakes.netlink import attribute, message, number
from rolecall_agent.witness.neighbours import Neighbours
from rolecall_agent.witness.rtnetlink import layout
from rolecall_agent.witness.rtnetlink.messages import Forwarding, Neighbour
from rolecall_proto.values import Address

HERE, THERE = ip_address("10.0.0.1"), ip_address("10.0.0.2")
OLD, NEW = b"\2hard1", b"\2hard2"
_STALE, _FAILED = 0x04, 0x20


def forwarding(hardware: bytes, kind: int = layout.NEW_NEIGHBOUR) -> bytes:
    head = layout.NEIGHBOUR.pack(layout.AF_BRIDGE, 7, _STALE, 0, 0)
    return message(kind, head + attribute(2, hardware) + attribute(9, number(3)))


def neighbour(hardware: bytes, address: Address = HERE, state: int = _STALE) -> bytes:
    head = layout.NEIGHBOUR.pack(layout.AF_INET, 3, state, 0, 0)
    told = attribute(1, address.packed) + attribute(2, hardware)
    return message(layout.NEW_NEIGHBOUR, head + told)


def known() -> Neighbours:
    made = Neighbours()
    made.learn(HERE, OLD)
    return made


def test_where_frames_go_is_news_for_hardware_that_somebody_has() -> None:
    """Whoever makes hardware addresses up says nothing of anybody."""
    gone = forwarding(OLD, layout.DEL_NEIGHBOUR)
    found = list(known().news([forwarding(NEW), forwarding(OLD), gone]))

    assert found == [Forwarding(OLD, 3, 7), Forwarding(OLD, 3, 7, gone=True)]


def test_who_has_an_address_is_news_where_it_is_another_one() -> None:
    """Its state alone changes all the time."""
    found = list(known().news([neighbour(OLD), neighbour(NEW), neighbour(NEW, THERE)]))

    assert found == [Neighbour(HERE, 3, NEW), Neighbour(THERE, 3, NEW)]


def test_an_address_is_told_once_a_turn_however_often_it_changes() -> None:
    """It is looked at after all of them."""
    found = list(
        known().news([neighbour(NEW), neighbour(OLD, state=_FAILED), neighbour(b"\2hard3")])
    )

    assert found == [Neighbour(HERE, 3, NEW)]


def test_who_is_not_heard_of_any_more_is_news() -> None:
    """Nobody answers there."""
    assert list(known().news([neighbour(OLD, state=_FAILED)])) == [Neighbour(HERE, 3)]


def test_hardware_is_forgotten_with_the_last_address_that_has_it() -> None:
    """Two addresses can have one: a pod's of both kinds."""
    made = known()
    made.learn(THERE, OLD)
    made.learn(HERE, NEW)
    assert made.with_hardware(OLD) == {THERE}
    made.learn(THERE, b"")

    assert made.with_hardware(OLD) == set()
    assert made.with_hardware(NEW) == {HERE}


@given(st.lists(st.binary(max_size=80)))
def test_reading_news_survives_any_bytes(told: list[bytes]) -> None:
    """Also where they begin as those of a bridge do."""
    made = known()
    list(made.news(told))
    list(made.news([forwarding(NEW)[:16] + each for each in told]))
