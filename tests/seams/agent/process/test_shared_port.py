"""Who may listen at the container endpoint's port, on the kernel that this runs on."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from prometheus_client import CollectorRegistry

from rolecall_agent.process.shared_port import SharedPort
from rolecall_agent.process.sockets import addresses_of, bind_all
from rolecall_common.admin_http import Readiness, serving_admin
from rolecall_common.settings.types import HostPort

HOST = "127.0.0.1"


class Node:
    """Agents that want one port, and whoever else runs as their user."""

    def __init__(self, stack: ExitStack, host: str) -> None:
        self._stack = stack
        self.host = host
        self.port = 0

    def agent(self) -> SharedPort:
        """Start one: what it can have at once, it has."""
        made = bind_all([(self.host, self.port)], leave_taken=True)
        for each in made:
            self._stack.enter_context(closing(each))
            self.port = self.port or each.getsockname()[1]
        return SharedPort(made, addresses_of(self.host, self.port))

    def intruder_is_refused(self) -> bool:
        """Try to share the port, as any process of this user can."""
        family, address = addresses_of(self.host, self.port)[0]
        with socket.socket(family, socket.SOCK_STREAM) as intruder:
            intruder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            intruder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                intruder.bind(address)
                intruder.listen()
            except OSError as error:
                return error.errno == errno.EADDRINUSE
        return False

    def connects(self) -> bool:
        with socket.socket(addresses_of(self.host, self.port)[0][0]) as client:
            return client.connect_ex((self.host, self.port)) == 0


@pytest.fixture(params=[HOST, "::1"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    with ExitStack() as stack:
        yield Node(stack, request.param)


def test_nobody_of_our_user_listens_beside_an_agent(node: Node) -> None:
    """Half of all tokens would be theirs."""
    assert node.agent().listen()

    assert node.intruder_is_refused()
    assert not node.agent().listen()
    assert node.intruder_is_refused()


def test_a_newer_agent_listens_beside_the_one_that_shares(node: Node) -> None:
    """From then on nobody else does, though the older one shares still."""
    old, new = node.agent(), node.agent()
    assert old.listen()
    early = new.listen()
    old.share(wanted=True)

    assert not early
    assert new.listen()
    assert node.intruder_is_refused()
    assert node.connects()


def test_who_shares_no_more_is_alone_again(node: Node) -> None:
    """Also where somebody came meanwhile, of whom the kernel remembers that it shared."""
    old = node.agent()
    old.listen()
    old.share(wanted=True)
    meanwhile = node.intruder_is_refused()
    old.share(wanted=False)

    assert not meanwhile  # That is what it is shared for: the window of a takeover.
    assert node.intruder_is_refused()


def test_an_agent_whose_port_is_bound_already_listens_once_it_is_shared(node: Node) -> None:
    """Two may have been cold together: then both have the address, and one is first."""
    first, second = node.agent(), node.agent()
    assert first.listen()
    early = second.listen()
    first.share(wanted=True)

    assert not early
    assert second.listen()
    assert node.intruder_is_refused()


def test_listening_again_is_nothing_new(node: Node) -> None:
    """A worker after a crash has the sockets as the one before it left them."""
    agent = node.agent()

    assert agent.listen()
    assert agent.listen()
    assert node.connects()


async def test_nobody_listens_beside_the_other_ports() -> None:
    """Neither the metadata endpoint's, which no two agents share, nor the probes'."""

    def shared(port: int) -> None:
        with socket.socket() as intruder:
            intruder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            intruder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            intruder.bind((HOST, port))

    [metadata] = bind_all([(HOST, 0)])
    with metadata:
        metadata.listen()
        with pytest.raises(OSError, match="in use"):
            shared(metadata.getsockname()[1])
    async with serving_admin(
        HostPort(HOST, 0), lambda: Readiness(ready=True), CollectorRegistry()
    ) as port:
        with pytest.raises(OSError, match="in use"):
            shared(port)
