"""Streams of agents that are pods: let in by their tokens, and for as long as their pods run."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import jwt
import pytest

from fakes.authentication import AuthenticatorRig, agent_pod, claims, signed
from fakes.clock import FakeClock
from fakes.replica import Certificates, Replica, calling, pod, until_connected
from rolecall_common.secret import Secret
from rolecall_proto.codec import encode_hello
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.values import Hello, NodeName, PodUid
from rolecall_server.kube.api import UnavailableError
from rolecall_server.kube.auth.authenticator import GOOD_FOR
from rolecall_server.model.pods import Pod
from rolecall_server.rpc.reauthentication import PERIOD
from rolecall_server.rpc.streams import CALLS_PER_NODE, STREAMS_PER_NODE

if TYPE_CHECKING:  # Only the stubs of the generated code know these classes.
    from rolecall_proto.v1.broker_pb2_grpc import BrokerAsyncStub

    Call = grpc.aio.UnaryStreamCall[pb.WatchNodeRequest, pb.NodeUpdates]

HELLO = encode_hello(Hello("0.1.0"))
AGENT = agent_pod()
# A peer that takes next to nothing unless it reads, on a connection of its own.
STINGY = (
    ("grpc.http2.lookahead_bytes", 1024),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.use_local_subchannel_pool", 1),
)
Change = Callable[[Replica], None]


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
async def auth() -> AsyncGenerator[AuthenticatorRig]:
    made = AuthenticatorRig(FakeClock())
    made.api.pods.add(AGENT.uid)
    async with made.running():
        yield made


@pytest.fixture
async def replica(certificates: Certificates, auth: AuthenticatorRig) -> AsyncGenerator[Replica]:
    server = Replica(auth.clock, certificates, auth.authenticator)
    auth.find_pod = server.broker.pod
    server.sync(AGENT, pod("web", "10.0.0.1"))
    async with server.listening(), judging(server):
        yield server


@contextlib.asynccontextmanager
async def judging(server: Replica) -> AsyncGenerator[None]:
    task = asyncio.create_task(server.service.run(), name="reauthenticate")
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def stub(replica: Replica, certificates: Certificates) -> AsyncGenerator["BrokerAsyncStub"]:
    async with calling(replica, certificates) as made:
        yield made


def by(token: Secret) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {token.reveal()}"),)


async def status_of(answer: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await answer
    return caught.value.code(), caught.value.details() or ""


async def end_of(call: "Call") -> tuple[grpc.StatusCode, list[str]]:
    """Read *call* to its end; return how it ended, and of which pods it told until then."""
    told: list[str] = []
    async with asyncio.timeout(10):
        while True:
            try:
                message = await call.read()
            except grpc.aio.AioRpcError as error:
                return error.code(), told
            assert isinstance(message, pb.NodeUpdates)
            told += [each.assignment.uid for each in message.updates if each.HasField("assignment")]


async def test_an_agent_is_told_of_the_node_that_its_pod_is_on(
    auth: AuthenticatorRig, replica: Replica, stub: "BrokerAsyncStub"
) -> None:
    """The node is nowhere in the request."""
    message = await stub.WatchNode(HELLO, metadata=by(auth.token())).read()

    assert isinstance(message, pb.NodeUpdates)
    assert [each.assignment.uid for each in message.updates if each.HasField("assignment")] == [
        AGENT.uid,
        "web",
    ]
    assert replica.broker.nodes() == 1


def unsigned(auth: AuthenticatorRig) -> Secret:
    return Secret(jwt.encode(claims(auth.clock.now()), "", algorithm="none"))


def of_a_deleted_pod(auth: AuthenticatorRig) -> Secret:
    return auth.token("deleted")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda it: it.token(aud=["https://kubernetes"]), grpc.StatusCode.UNAUTHENTICATED),
        (lambda it: it.token(exp=1), grpc.StatusCode.UNAUTHENTICATED),
        (unsigned, grpc.StatusCode.UNAUTHENTICATED),
        (lambda it: signed(claims(it.clock.now()), "x", "key-1"), grpc.StatusCode.UNAUTHENTICATED),
        (of_a_deleted_pod, grpc.StatusCode.UNAUTHENTICATED),
        (
            lambda it: it.token(sub="system:serviceaccount:shop:web"),
            grpc.StatusCode.PERMISSION_DENIED,
        ),
        (lambda it: it.token(**{"kubernetes.io": None}), grpc.StatusCode.PERMISSION_DENIED),
        (lambda it: it.token(node="node-2"), grpc.StatusCode.PERMISSION_DENIED),
    ],
    ids=["audience", "expired", "none", "forged", "deleted", "account", "unbound", "node"],
)
@pytest.mark.usefixtures("replica")
async def test_a_bad_token_is_refused_and_told_nothing(
    auth: AuthenticatorRig,
    stub: "BrokerAsyncStub",
    make: Callable[[AuthenticatorRig], Secret],
    expected: grpc.StatusCode,
) -> None:
    """The same constant sentence whatever is wrong; the next good token is not concerned."""
    token = make(auth)
    code, details = await status_of(stub.WatchNode(HELLO, metadata=by(token)).read())

    assert code is expected
    assert details in {"the token was not accepted", "the token is not an agent's"}
    assert await stub.WatchNode(HELLO, metadata=by(auth.token())).read() != grpc.aio.EOF


@pytest.mark.usefixtures("replica")
async def test_two_good_tokens_are_none(auth: AuthenticatorRig, stub: "BrokerAsyncStub") -> None:
    """Which of them is meant is not guessed, and neither is reviewed."""
    code, _ = await status_of(stub.WatchNode(HELLO, metadata=by(auth.token()) * 2).read())

    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert auth.api.reviews == []


def gone(replica: Replica) -> None:
    replica.remove(AGENT)


def moved(replica: Replica) -> None:
    replica.change(replace(AGENT, node=NodeName("node-2")))


def finished(replica: Replica) -> None:
    replica.change(replace(AGENT, finished=True))


def replaced(replica: Replica) -> None:
    replica.sync(replace(AGENT, uid=PodUid("agent-2")), pod("web", "10.0.0.1"))


ENDS = pytest.mark.parametrize("change", [gone, moved, finished, replaced])


@ENDS
async def test_a_stream_ends_with_its_agents_pod(
    auth: AuthenticatorRig, replica: Replica, stub: "BrokerAsyncStub", change: Change
) -> None:
    """At once, as the watch shows it; what changes in the same turn is not told any more."""
    call = stub.WatchNode(HELLO, metadata=by(auth.token()))
    await call.read()
    replica.change(pod("late", "10.0.0.2"))
    change(replica)

    assert await end_of(call) == (grpc.StatusCode.UNAVAILABLE, [])
    assert replica.broker.nodes() == 0


async def look_again(auth: AuthenticatorRig, after: timedelta = PERIOD) -> None:
    """Let the time come at which open streams are looked at."""
    await auth.clock.asleep_until(auth.clock.now() + PERIOD)
    auth.clock.advance(after)


async def judged(auth: AuthenticatorRig, replica: Replica, reviews: int) -> None:
    """Return once so many reviews were asked for, and what came of the last is taken in."""
    streams = replica.service._streams  # noqa: SLF001 - nothing else tells
    await until(
        lambda: (
            len(auth.api.reviews) == reviews
            and all(stream.recheck_at is not None for stream in streams)
        )
    )


async def test_a_stream_ends_when_a_later_review_says_no(
    auth: AuthenticatorRig, replica: Replica, stub: "BrokerAsyncStub"
) -> None:
    """The watch may lag behind: the token of an open stream is reviewed every five minutes."""
    call = stub.WatchNode(HELLO, metadata=by(auth.token()))
    await call.read()
    await look_again(auth, GOOD_FOR)
    await judged(auth, replica, 2)
    assert replica.broker.nodes() == 1
    auth.api.pods.clear()
    await look_again(auth, GOOD_FOR)

    assert (await end_of(call))[0] is grpc.StatusCode.UNAUTHENTICATED
    assert replica.broker.nodes() == 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)


async def test_a_stream_outlives_an_outage_and_is_reviewed_after_it(
    auth: AuthenticatorRig, replica: Replica, stub: "BrokerAsyncStub"
) -> None:
    """Let in by its signature, it is reviewed as soon as somebody reviews, and may end by that."""
    auth.api.trouble = UnavailableError("no route to host")
    call = stub.WatchNode(HELLO, metadata=by(auth.token()))
    await call.read()
    for asked in (2, 3):
        await look_again(auth)
        await judged(auth, replica, asked)
    assert not call.done()
    auth.api.trouble = None
    auth.api.pods.clear()
    await look_again(auth)

    assert (await end_of(call))[0] is grpc.StatusCode.UNAUTHENTICATED
    assert auth.metrics.tokens_unreviewed.value() == 3


async def test_a_stream_goes_on_while_nobody_can_tell(
    auth: AuthenticatorRig, replica: Replica, stub: "BrokerAsyncStub"
) -> None:
    """Even without keys: its pod is still there."""
    auth.authenticator._keys._known = None  # noqa: SLF001 - a cluster whose keys cannot be read
    call = stub.WatchNode(HELLO, metadata=by(auth.token()))
    await call.read()
    auth.api.trouble = UnavailableError("no route to host")
    await look_again(auth, GOOD_FOR)
    await judged(auth, replica, 2)
    await look_again(auth)

    assert not call.done()
    gone(replica)
    assert (await end_of(call))[0] is grpc.StatusCode.UNAVAILABLE


# --- peers that stop reading ---


def open_calls(replica: Replica) -> int:
    """Return how many calls gRPC has not let go of."""
    return sum(replica.service._streams._calls.values())  # noqa: SLF001 - nothing else tells


def crowd() -> list[Pod]:
    """Return so many pods that their snapshot does not fit into a peer that does not read."""
    return [pod(f"{number:0250}", "10.0.0.1") for number in range(2000)]


@pytest.fixture
async def deaf(
    replica: Replica, certificates: Certificates
) -> AsyncGenerator[Callable[[], "BrokerAsyncStub"]]:
    """Give clients that take nothing unless they read, each with a connection of its own."""
    replica.sync(AGENT, agent_pod("agent-2", "node-2"), *crowd())
    async with contextlib.AsyncExitStack() as stack:
        stubs = [
            await stack.enter_async_context(calling(replica, certificates, *STINGY))
            for _ in range(CALLS_PER_NODE // 4)
        ]
        turns = iter(range(1000))
        yield lambda: stubs[next(turns) % len(stubs)]


async def test_a_peer_that_does_not_read_holds_no_more_than_its_share(
    auth: AuthenticatorRig,
    replica: Replica,
    deaf: Callable[[], "BrokerAsyncStub"],
    stub: "BrokerAsyncStub",
) -> None:
    """Two streams count as its node; those that are stuck are bounded, and others are let in."""
    metadata = by(auth.token())
    calls = []
    for number in range(CALLS_PER_NODE):
        calls.append(deaf().WatchNode(HELLO, metadata=metadata))
        await until(lambda: open_calls(replica) == number + 1)  # noqa: B023 - awaited in this turn
        await until_connected(replica, min(number + 1, STREAMS_PER_NODE))
    code, _ = await status_of(deaf().WatchNode(HELLO, metadata=metadata).read())
    auth.api.pods.add("agent-2")
    other = by(auth.token("agent-2", "node-2"))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await stub.WatchNode(HELLO, metadata=other).read() != grpc.aio.EOF
    assert replica.broker.nodes() == STREAMS_PER_NODE + 1
    for call in calls:
        call.cancel()
    await until_connected(replica, 1)
    assert await stub.WatchNode(HELLO, metadata=metadata).read() != grpc.aio.EOF


async def test_a_peer_that_was_stuck_is_told_why_its_stream_ended(
    auth: AuthenticatorRig, replica: Replica, deaf: Callable[[], "BrokerAsyncStub"]
) -> None:
    """It finds the message that was on its way, then the status; its node was free before."""
    call = deaf().WatchNode(HELLO, metadata=by(auth.token()))
    subscriptions = replica.broker._subscriptions  # noqa: SLF001 - nothing else tells
    await until(lambda: any(each.held is None for some in subscriptions.values() for each in some))
    replica.change(pod("late", "10.0.0.2"))
    gone(replica)
    await until_connected(replica, 0)

    assert open_calls(replica) == 1
    code, told = await end_of(call)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert 0 < len(told) < 2000
    await until(lambda: open_calls(replica) == 0)
