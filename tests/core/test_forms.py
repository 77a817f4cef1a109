"""Forms: how values of settings are written."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_common.forms import HOST_PORT, HostPort, duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("1h30m", 5400), ("250ms", 0.25), ("1d", 86400)],
)
def test_durations_carry_their_unit(text: str, seconds: float) -> None:
    """As Go and Kubernetes write them."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "900", "15 m", "m", "-1s", "1h-1m", "\u0661s", "1e3s", "1y"])
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
