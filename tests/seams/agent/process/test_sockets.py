"""Listening at addresses that the machine does not have, or not yet."""

import errno
import socket

import pytest

from rolecall_agent.process.sockets import bind_all

NOWHERE = "192.0.2.1"  # For documents only: no machine has it.


def test_an_address_that_is_not_there_yet_is_bound() -> None:
    """By nobody in particular: it takes no capability."""
    made = bind_all([(NOWHERE, 0), ("127.0.0.1", 0)])

    assert [each.getsockname()[0] for each in made] == [NOWHERE, "127.0.0.1"]
    for each in made:
        each.close()


def test_an_address_that_is_taken_is_refused_and_nothing_stays_open() -> None:
    """What was bound before it is let go of."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}") as caught:
            bind_all([(NOWHERE, port), ("127.0.0.1", port)])

    assert caught.value.errno == errno.EADDRINUSE
    for each in bind_all([(NOWHERE, port), ("127.0.0.1", port)]):
        each.close()


def without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the kernel know no IPv6, as `ipv6.disable=1` does."""
    real = socket.socket

    def made(family: int, *others: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *others)

    monkeypatch.setattr(socket, "socket", made)


def test_a_machine_without_ipv6_listens_by_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chart names both addresses; another agent was known to die of that."""
    without_ipv6(monkeypatch)
    [made] = bind_all([("fd00:ec2::23", 0), ("127.0.0.1", 0)])

    assert made.family == socket.AF_INET
    made.close()


def test_a_machine_without_what_is_asked_for_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is left there would be no endpoint."""
    without_ipv6(monkeypatch)

    with pytest.raises(OSError, match="fd00:ec2::23"):
        bind_all([("fd00:ec2::23", 0)])
