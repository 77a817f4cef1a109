"""One node's stream, from a real server to a real agent: snapshot, changes, and other servers."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from fakes.clock import FakeClock
from fakes.replica import NODE, Certificates, Node, Replica, ended, following, pod, until_connected
from rolecall_agent.store.standing import Refused, Unknown, Waiting
from rolecall_agent.sync.stream_end import EndReason
from rolecall_common.clock import SystemClock
from rolecall_proto.values import (
    AssignmentUpserted,
    Heartbeat,
    PodRemoved,
    SessionRenewed,
    SnapshotEnd,
)
from rolecall_server.rpc.server import ListenError

WEB = pod("web", "10.0.0.1")
SHOP = pod("shop", "10.0.0.2", "team/writer")
ELSEWHERE = pod("elsewhere", "10.0.1.1", "other", node="node-2")


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def node() -> Node:
    return Node(SystemClock())


@pytest.fixture
async def replica(certificates: Certificates) -> AsyncGenerator[Replica]:
    server = Replica(SystemClock(), certificates)
    async with server.listening():
        yield server


async def test_a_node_is_told_what_its_pods_have_and_nothing_else(
    replica: Replica, certificates: Certificates, node: Node
) -> None:
    """The snapshot holds the node's own pods with their sessions; of others it hears nothing."""
    replica.sync(WEB, SHOP, ELSEWHERE)
    async with following(node, certificates, replica.address):
        await node.synced()
        replica.issue()
        await node.until(lambda: bool(node.session("10.0.0.1") and node.session("10.0.0.2")))

    assert node.session("10.0.0.1") != node.session("10.0.0.2")
    assert isinstance(node.standing("10.0.1.1"), Unknown)
    assert "other" not in " ".join(replica.issued)  # Nobody who needs it is connected.


async def test_changes_follow_the_snapshot(
    replica: Replica, certificates: Certificates, node: Node
) -> None:
    """A pod that comes, gets its role, changes it and goes is all that to the node as well."""
    replica.sync()
    async with following(node, certificates, replica.address):
        await node.synced()
        replica.change(WEB)
        await node.until(lambda: isinstance(node.standing("10.0.0.1"), Waiting))
        replica.issue()
        await node.until(lambda: node.session("10.0.0.1") is not None)
        replica.change(pod("web", "10.0.0.1", role=None))
        await node.until(lambda: isinstance(node.standing("10.0.0.1"), Refused))
        replica.remove(WEB)
        await node.until(lambda: isinstance(node.standing("10.0.0.1"), Unknown))

    assert isinstance(node.updates[-1], PodRemoved)


async def test_pods_of_one_role_share_one_session_on_the_wire(
    replica: Replica, certificates: Certificates, node: Node
) -> None:
    """Credentials travel once to a node, however many of its pods have them."""
    replica.sync(*(pod(f"web-{number}", f"10.0.0.{number}") for number in range(1, 51)))
    async with following(node, certificates, replica.address):
        await node.synced()
        replica.issue()
        await node.until(lambda: node.session("10.0.0.50") is not None)

    assert sum(isinstance(update, SessionRenewed) for update in node.updates) == 1
    assert sum(isinstance(update, AssignmentUpserted) for update in node.updates) == 100


async def test_a_node_goes_on_at_another_replica_with_what_it_holds(
    certificates: Certificates, node: Node
) -> None:
    """A replica stops: its node is served on, and the next one sends and issues nothing anew."""
    one, two = (Replica(SystemClock(), certificates).sync(WEB) for _ in range(2))
    async with two.listening(), contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(one.listening())
        await stack.enter_async_context(following(node, certificates, one.address, two.address))
        await node.synced()
        for replica in (one, two):
            replica.issue()
        await node.until(lambda: node.session("10.0.0.1") is not None)
        held = node.session("10.0.0.1")
        first, second = (one, two) if one.issued else (two, one)

        first.service.close()
        assert node.session("10.0.0.1") == held
        await node.synced(snapshots=2)

        second.issue()
        assert second.issued == []
        assert not [each for each in node.updates if isinstance(each, SessionRenewed)]
        assert node.session("10.0.0.1") == held


async def test_a_restarted_server_sends_nothing_that_is_held(
    certificates: Certificates, node: Node
) -> None:
    """After a restart the claim spares the call to STS, and the push."""
    before, after = (Replica(SystemClock(), certificates).sync(WEB) for _ in range(2))
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(before.listening())
        port = before.port
        async with following(node, certificates, before.address) as follower:
            await node.synced()
            before.issue()
            await node.until(lambda: node.session("10.0.0.1") is not None)
            await stack.aclose()
            async with after.listening(port):
                await node.synced(snapshots=2)
                after.issue()

    assert after.issued == []
    assert node.session("10.0.0.1") is not None
    assert [type(each) for each in node.updates[1:]] == [AssignmentUpserted, SnapshotEnd]
    assert follower.statistics().end_reasons[EndReason.UNAVAILABLE] >= 1


async def test_a_server_with_open_streams_stops_at_once(
    certificates: Certificates, node: Node
) -> None:
    """Streams have nothing to finish: stopping does not wait for their grace."""
    replica = Replica(SystemClock(), certificates).sync(WEB)
    async with contextlib.AsyncExitStack() as server:
        await server.enter_async_context(replica.listening())
        async with following(node, certificates, replica.address):
            await node.synced()
            async with asyncio.timeout(20):
                await server.aclose()

    assert replica.broker.nodes() == 0


async def test_an_agent_that_leaves_is_forgotten_at_once(
    replica: Replica, certificates: Certificates, node: Node
) -> None:
    """Nothing is issued for a node that nobody is connected for."""
    replica.sync(WEB)
    async with following(node, certificates, replica.address):
        await node.synced()
    await until_connected(replica, 0)

    replica.issue()
    assert replica.issued == []


async def test_an_agent_told_to_stop_as_its_stream_ends_stops(
    certificates: Certificates, node: Node
) -> None:
    """Neither of two things that happen at once is forgotten."""
    replica = Replica(SystemClock(), certificates).sync(WEB)
    async with asyncio.timeout(10), contextlib.AsyncExitStack() as server:
        await server.enter_async_context(replica.listening())
        async with following(node, certificates, replica.address):
            await node.synced()
            await server.aclose()  # The follower is cancelled before it has heard of it.


async def test_a_silent_stream_carries_a_heartbeat(certificates: Certificates) -> None:
    """After ten seconds without a word the server says that it is alive, and what time it has."""
    clock = FakeClock()
    node, replica = Node(clock), Replica(clock, certificates).sync(WEB)
    async with replica.listening(), following(node, certificates, replica.address) as follower:
        await node.synced()
        await clock.asleep(3)  # The server, and what watches for silence and for another bundle.
        clock.advance(timedelta(seconds=10))
        await node.until(lambda: isinstance(node.updates[-1], Heartbeat))

        assert follower.statistics().server_clock_ahead == timedelta()


async def test_a_clock_that_is_set_back_silences_no_server(certificates: Certificates) -> None:
    """A heartbeat comes every ten seconds, whatever o'clock that is."""
    clock = FakeClock()
    node, replica = Node(clock), Replica(clock, certificates).sync(WEB)
    async with replica.listening(), following(node, certificates, replica.address):
        await node.synced()
        for step in (timedelta(hours=1), timedelta(seconds=3), timedelta()):
            await clock.asleep(3)  # As above.
            clock.set_back(step)
            clock.advance(timedelta(seconds=10))
            await node.until(lambda: node.updates[-1] == Heartbeat(clock.now()))


async def test_a_silent_server_is_left(certificates: Certificates) -> None:
    """A server that takes the connection and says nothing is given up after ten seconds."""
    clock = FakeClock()
    node = Node(clock)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        async with following(node, certificates, address) as follower:
            await clock.asleep_until(clock.now() + timedelta(seconds=10))
            clock.advance(timedelta(seconds=10))
            assert await ended(follower) == {EndReason.SILENT: 1}


async def test_the_token_is_read_anew_for_each_connection(
    replica: Replica, certificates: Certificates, node: Node
) -> None:
    """The kubelet renews the token; the next connection is made with the one that is there then."""
    token = certificates.folder / "renewed"
    replica.sync(pod("web", "10.0.0.1", node="node-2"))
    async with following(node, certificates, replica.address, token=token) as follower:
        await ended(follower)
        token.write_text("node-2")
        await node.synced()

    assert set(follower.statistics().end_reasons) == {EndReason.TOKEN_UNUSABLE}
    assert not isinstance(node.standing("10.0.0.1"), Unknown)


async def test_a_question_reaches_the_server_once(
    replica: Replica, certificates: Certificates, node: Node
) -> None:
    """Fifty requests that wait at one address are one call, and its pod is the most urgent one."""
    replica.sync(WEB)
    async with following(node, certificates, replica.address) as follower:
        await node.synced()
        for _ in range(50):
            follower.resolver.enqueue(WEB.addresses[0])
        async with asyncio.timeout(30):
            await replica.broker.was_asked.wait()

    assert replica.broker.asked == [(NODE, WEB.addresses[0])]


async def test_a_port_in_use_is_an_error(replica: Replica, certificates: Certificates) -> None:
    """Two servers do not share a port in silence."""
    with pytest.raises(ListenError, match="cannot listen"):
        async with Replica(SystemClock(), certificates).listening(replica.port):
            pass


async def test_bytes_that_are_no_message_end_the_stream_and_not_the_agent(
    certificates: Certificates,
) -> None:
    """Whatever a server sends, the agent tries the next one."""

    async def babble(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        del request
        await context.write(b"\xff" * 9)
        await context.abort(grpc.StatusCode.UNAVAILABLE)

    handler = grpc.unary_stream_rpc_method_handler(babble)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("rolecall.v1.Broker", {"WatchNode": handler}),)
    )
    pair = (certificates.key.read_bytes(), certificates.certificate.read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    try:
        node = Node(SystemClock())
        async with following(node, certificates, f"127.0.0.1:{port}") as follower:
            assert EndReason.REFUSED in await ended(follower)
    finally:
        await server.stop(None)
