"""Whom the server lets in, and what it answers to calls that no agent of ours would make."""

from collections.abc import AsyncGenerator, Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from fakes.clock import FakeClock
from fakes.replica import NODE, SERVER_NAME, Certificates, Replica, calling, pod, until_connected
from rolecall_common.secret import Secret
from rolecall_proto.codec import MAX_HELD, MAX_QUESTIONS, encode_hello
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.values import Held, Hello, SessionId
from rolecall_server.model.authenticator import (
    Agent,
    AuthenticationError,
    ForbiddenError,
    UndecidedError,
)
from rolecall_server.rpc.streams import QUESTIONS_BURST, STREAMS_PER_NODE

if TYPE_CHECKING:  # Only the stubs of the generated code know this class.
    from rolecall_proto.v1.broker_pb2_grpc import BrokerAsyncStub

Metadata = tuple[tuple[str, str], ...]
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HELLO = encode_hello(Hello("0.1.0"))
IDENTIFIED: Metadata = (("authorization", f"Bearer {NODE}"),)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
async def replica(certificates: Certificates) -> AsyncGenerator[Replica]:
    server = Replica(FakeClock(), certificates)
    async with server.listening():
        yield server


@pytest.fixture
async def stub(replica: Replica, certificates: Certificates) -> AsyncGenerator["BrokerAsyncStub"]:
    async with calling(replica, certificates) as made:
        yield made


async def status_of(answer: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    """Return how the call failed whose *answer* is awaited."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await answer
    return caught.value.code(), caught.value.details() or ""


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", f"Bearer {NODE}"),) * 2,
        (("authorization", ""),),
        (("authorization", NODE),),
        (("authorization", f"Basic {NODE}"),),
        (("authorization", "Bearer not_a_node"),),
        (("authorization", "Bearer " + "a." * 5000),),
        (("x-node", NODE),),
    ],
    ids=["none", "two", "empty", "bare", "basic", "not a node", "too long", "another header"],
)
@pytest.mark.parametrize("method", ["WatchNode", "ResolvePods"])
async def test_without_one_good_token_nobody_is_let_in(
    replica: Replica, stub: "BrokerAsyncStub", method: str, metadata: Metadata
) -> None:
    """Each call is authenticated by itself, by exactly one token."""
    replica.sync()
    if method == "WatchNode":
        answer: Awaitable[object] = stub.WatchNode(HELLO, metadata=metadata).read()
    else:
        answer = stub.ResolvePods(pb.ResolvePodsRequest(addresses=["10.0.0.1"]), metadata=metadata)

    assert (await status_of(answer))[0] is grpc.StatusCode.UNAUTHENTICATED


class Refusing:
    """An authenticator that refuses everybody, for a reason that is nobody's business."""

    def __init__(self, error: AuthenticationError) -> None:
        self.error = error

    async def authenticate(self, token: Secret) -> Agent:
        del token
        raise self.error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ForbiddenError("of service account shop/web"), grpc.StatusCode.PERMISSION_DENIED),
        (UndecidedError("of pod agent-x7"), grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_a_refusal_has_its_status_and_keeps_its_reason(
    replica: Replica, stub: "BrokerAsyncStub", error: AuthenticationError, expected: grpc.StatusCode
) -> None:
    """The status tells whether to come back; why is in the server's log."""
    replica.sync().service._authentication._authenticator = Refusing(error)  # noqa: SLF001 - no other way in
    code, details = await status_of(stub.WatchNode(HELLO, metadata=IDENTIFIED).read())

    assert code is expected
    assert str(error) not in details
    assert replica.service.refused == {expected: 1}


async def test_a_server_that_has_not_listed_yet_lets_nobody_in(stub: "BrokerAsyncStub") -> None:
    """Absence from a snapshot means gone, so there is no snapshot before all is known."""
    code, _ = await status_of(stub.WatchNode(HELLO, metadata=IDENTIFIED).read())

    assert code is grpc.StatusCode.UNAVAILABLE


async def test_more_held_sessions_than_a_node_can_hold_are_invalid(
    replica: Replica, stub: "BrokerAsyncStub"
) -> None:
    """The limit is on the number; what is much larger does not even get as far."""
    replica.sync()
    held = tuple(Held(SessionId(f"{number:032}"), NOON) for number in range(MAX_HELD + 1))
    most = encode_hello(Hello("0.1.0", held[1:]))
    more = encode_hello(Hello("0.1.0", held))
    much = pb.WatchNodeRequest(version="x" * 10_000_000)

    assert await stub.WatchNode(most, metadata=IDENTIFIED).read() != grpc.aio.EOF
    for request, expected in (
        (more, grpc.StatusCode.INVALID_ARGUMENT),
        (much, grpc.StatusCode.RESOURCE_EXHAUSTED),
    ):
        code, _ = await status_of(stub.WatchNode(request, metadata=IDENTIFIED).read())
        assert code is expected


async def test_of_too_many_streams_the_oldest_ends(
    replica: Replica, stub: "BrokerAsyncStub"
) -> None:
    """An agent and its successor fit; a third stream means that the first is dead."""
    replica.sync()
    calls = []
    for _ in range(STREAMS_PER_NODE + 1):
        calls.append(stub.WatchNode(HELLO, metadata=IDENTIFIED))
        await calls[-1].read()
    oldest, *others = calls
    code, _ = await status_of(oldest.read())

    assert code is grpc.StatusCode.ABORTED
    assert not any(call.done() for call in others)


@pytest.fixture
async def stream(replica: Replica, stub: "BrokerAsyncStub") -> object:
    """Open a stream of the node, so that it may ask; its pod `web` is at 10.0.0.1."""
    replica.sync(pod("web", "10.0.0.1"), pod("other", "10.0.1.1", node="node-2"))
    call = stub.WatchNode(HELLO, metadata=IDENTIFIED)
    await call.read()
    return call


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.1", pb.RESOLUTION_KNOWN),
        ("::ffff:10.0.0.1", pb.RESOLUTION_KNOWN),
        ("10.0.0.2", pb.RESOLUTION_UNKNOWN),
        ("10.0.1.1", pb.RESOLUTION_UNKNOWN),
        ("127.0.0.1", pb.RESOLUTION_UNKNOWN),
    ],
)
@pytest.mark.usefixtures("stream")
async def test_a_node_hears_of_its_own_pods_only(
    stub: "BrokerAsyncStub", address: str, expected: int
) -> None:
    """Another node's pod is as unknown as one that does not exist."""
    request = pb.ResolvePodsRequest(addresses=[address])
    answer = await stub.ResolvePods(request, metadata=IDENTIFIED)

    assert list(answer.resolutions) == [expected]


@pytest.mark.parametrize(
    "address",
    ["", "10.0.0.1%eth0", "010.0.0.1", " 10.0.0.1", "10.0.0.1\n", "0x0a000001", "1" * 500_000],
    ids=["empty", "zone", "octal", "blank", "newline", "hexadecimal", "long"],
)
@pytest.mark.usefixtures("stream")
async def test_what_is_no_address_is_invalid(stub: "BrokerAsyncStub", address: str) -> None:
    """Odd spellings are refused, not interpreted."""
    call = stub.ResolvePods(pb.ResolvePodsRequest(addresses=[address]), metadata=IDENTIFIED)

    assert (await status_of(call))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_only_a_node_with_a_stream_may_ask(replica: Replica, stub: "BrokerAsyncStub") -> None:
    """The answer comes by the stream, so without one there is nothing to ask."""
    replica.sync(pod("web", "10.0.0.1"))
    call = stub.ResolvePods(pb.ResolvePodsRequest(addresses=["10.0.0.1"]), metadata=IDENTIFIED)

    assert (await status_of(call))[0] is grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.usefixtures("stream")
@pytest.mark.parametrize("count", [0, MAX_QUESTIONS + 1])
async def test_a_question_is_about_some_addresses(stub: "BrokerAsyncStub", count: int) -> None:
    """One about none, or about more than a node has pods, is refused as a whole."""
    request = pb.ResolvePodsRequest(addresses=["10.0.0.9"] * count)
    code, _ = await status_of(stub.ResolvePods(request, metadata=IDENTIFIED))

    assert code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.usefixtures("stream")
async def test_pods_are_confirmed_to_their_own_node(stub: "BrokerAsyncStub") -> None:
    """What a pod has is said; of another node's, or an unknown one, nothing is."""
    uids = ["web", "other", "nobody"]
    request = pb.ResolvePodsRequest(addresses=["10.0.0.1"], confirm=uids)
    answer = await stub.ResolvePods(request, metadata=IDENTIFIED)

    assert [(each.read, list(each.addresses)) for each in answer.confirmations] == [
        (True, ["10.0.0.1"]),
        (False, []),
        (False, []),
    ]


@pytest.mark.usefixtures("stream")
async def test_pods_to_confirm_count_as_questions(stub: "BrokerAsyncStub") -> None:
    """Each may cost a read of the API server."""
    request = pb.ResolvePodsRequest(
        addresses=["10.0.0.9"] * MAX_QUESTIONS, confirm=["web"] * MAX_QUESTIONS
    )
    await stub.ResolvePods(request, metadata=IDENTIFIED)
    code, _ = await status_of(stub.ResolvePods(request, metadata=IDENTIFIED))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.usefixtures("stream")
@pytest.mark.parametrize("uids", [["uid"] * (MAX_QUESTIONS + 1), [""]], ids=["many", "empty"])
async def test_what_are_no_pods_to_confirm_is_invalid(
    stub: "BrokerAsyncStub", uids: list[str]
) -> None:
    """More than a node has, or one without a uid."""
    request = pb.ResolvePodsRequest(addresses=["10.0.0.9"], confirm=uids)
    code, _ = await status_of(stub.ResolvePods(request, metadata=IDENTIFIED))

    assert code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.usefixtures("stream")
async def test_a_node_that_asks_too_often_is_told_so(stub: "BrokerAsyncStub") -> None:
    """A burst of as many questions as a node has pods is let through, and no more than that."""
    many = pb.ResolvePodsRequest(addresses=["10.0.0.9"] * MAX_QUESTIONS)
    for _ in range(int(QUESTIONS_BURST) // MAX_QUESTIONS):
        await stub.ResolvePods(many, metadata=IDENTIFIED)
    code, _ = await status_of(stub.ResolvePods(many, metadata=IDENTIFIED))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def check(address: str, certificates: Certificates, request: bytes) -> bytes:
    """Ask grpc.health.v1, in bytes."""
    credentials = grpc.ssl_channel_credentials(certificates.bundle.read_bytes())
    options = [("grpc.ssl_target_name_override", SERVER_NAME)]
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/grpc.health.v1.Health/Check"
        )
        return await ask(request)


async def test_health_tells_the_truth(replica: Replica, certificates: Certificates) -> None:
    """Not serving until all is listed, serving from then on, for the whole and for the service."""
    service = b"\x0a\x12rolecall.v1.Broker"

    assert await check(replica.address, certificates, b"") == b"\x08\x02"
    replica.sync()
    assert await check(replica.address, certificates, b"") == b"\x08\x01"
    assert await check(replica.address, certificates, service) == b"\x08\x01"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check(replica.address, certificates, b"\x0a\x05other")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_storm_of_cancelled_streams_leaves_nothing(
    replica: Replica, stub: "BrokerAsyncStub"
) -> None:
    """Two hundred agents that come and go at once are all forgotten."""
    replica.sync()
    for _ in range(200):
        stub.WatchNode(HELLO, metadata=IDENTIFIED).cancel()
    call = stub.WatchNode(HELLO, metadata=IDENTIFIED)
    await call.read()
    await until_connected(replica, 1)
