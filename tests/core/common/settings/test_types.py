"""Forms: how values of settings are written."""

from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_common.settings.durations import duration_text, parse_duration
from rolecall_common.settings.types import (
    HOST_PORT,
    NETWORK,
    PATH,
    SWITCH,
    HostPort,
    choice,
    number,
    optional,
    several,
    whole,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("1h30m", 5400), ("250ms", 0.25), ("1d", 86400)],
)
def test_durations_carry_their_unit(text: str, seconds: float) -> None:
    """As Go and Kubernetes write them."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "900", "15 m", "m", "-1s", "1h-1m", "\u0661s", "1e3s", "1y", "999999999d999999999d"],
)
def test_a_duration_without_its_unit_is_no_duration(text: str) -> None:
    """Nobody has to guess whether 900 is seconds or minutes."""
    with pytest.raises(ValueError):  # noqa: PT011 - whoever reads it says what is accepted
        parse_duration(text)


@given(st.integers(min_value=1, max_value=10**10))
def test_durations_read_as_they_are_written(milliseconds: int) -> None:
    """Documents, help and messages speak the language of the settings."""
    duration = timedelta(milliseconds=milliseconds)

    assert parse_duration(duration_text(duration)) == duration


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("127.0.0.1:80", HostPort("127.0.0.1", 80)),
        ("[::1]:8443", HostPort("::1", 8443)),
        ("rolecall-server.kube-system.svc:443", HostPort("rolecall-server.kube-system.svc", 443)),
    ],
)
def test_hosts_and_ports(text: str, value: HostPort) -> None:
    """An address of either family, or a name, and its port; written as it was read."""
    assert HOST_PORT.read(text) == value
    assert str(value) == text


@pytest.mark.parametrize("text", ["", "host", ":80", "::1:80", "[::1]", "a b:80", "h:65536", "h:x"])
def test_what_is_no_host_and_port(text: str) -> None:
    """A port that is missing is not guessed."""
    with pytest.raises(ValueError):  # noqa: PT011 - whoever reads it says what is accepted
        HOST_PORT.read(text)


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


class Only(StrEnum):
    ONE = "one"


def test_a_choice_is_one_word_as_it_is_shown() -> None:
    """In lower case, and with blanks around it at most."""
    assert choice(Colour).read(" green ") is Colour.GREEN
    assert choice(Colour).accepted == "red, green or blue"
    assert choice(Only).accepted == "one"
    for text in ("GREEN", "gree", "", "RED"):
        with pytest.raises(ValueError):  # noqa: PT011 - whoever reads it says what is accepted
            choice(Colour).read(text)


@pytest.mark.parametrize("text", ["true", "Yes", "ON"])
def test_a_switch_has_the_words_that_people_use(text: str) -> None:
    """And `1` is none of them: it could be a count."""
    assert SWITCH.read(text)
    assert SWITCH.write(value=True) == "true"
    with pytest.raises(ValueError):  # noqa: PT011 - whoever reads it says what is accepted
        SWITCH.read("1")


@pytest.mark.parametrize("text", ["0", "101", "-1", "+1", "1.0", "1_0", "\u0661", "", "9" * 5000])
def test_whole_numbers_are_plain_digits_within_bounds(text: str) -> None:
    """Other scripts' digits, underscores and signs are not ours."""
    assert whole(1, 100).read("100") == 100
    with pytest.raises(ValueError):  # noqa: PT011 - whoever reads it says what is accepted
        whole(1, 100).read(text)


@pytest.mark.parametrize("text", ["0.05", "1e1", "nan", "inf", ".5", "5.", "100.1", "-1"])
def test_numbers_are_decimals_within_bounds(text: str) -> None:
    """There is no infinity of calls a second."""
    assert number(0.1, 100).read("0.5") == 0.5
    with pytest.raises(ValueError):  # noqa: PT011 - whoever reads it says what is accepted
        number(0.1, 100).read(text)


def test_nothing_is_none_where_a_setting_may_be_absent() -> None:
    """An empty variable is a way to say so."""
    assert optional(whole(1, 9)).read("") is None
    assert optional(whole(1, 9)).read("5") == 5
    assert optional(whole(1, 9)).write(None) == ""


def test_a_list_may_have_to_have_something_in_it() -> None:
    """The reason is said, for an empty list is easily overlooked."""
    value_type = several(whole(1, 9), least=1)

    assert value_type.read("1") == (1,)
    assert value_type.accepted == "1 or more of: a whole number from 1 to 9"
    with pytest.raises(ValueError, match="it is empty"):
        value_type.read(" , ")


def test_a_network_has_no_address_bits() -> None:
    """10.0.0.1/24 is a slip, and could be meant in two ways."""
    assert NETWORK.read("10.0.0.0/24") == ip_network("10.0.0.0/24")
    with pytest.raises(ValueError, match="has host bits set"):
        NETWORK.read("10.0.0.1/24")


@pytest.mark.parametrize("text", ["", " ", "a\0b"])
def test_what_is_no_path(text: str) -> None:
    """The current directory is not meant by nothing at all."""
    with pytest.raises(ValueError):  # noqa: PT011 - whoever reads it says what is accepted
        PATH.read(text)
