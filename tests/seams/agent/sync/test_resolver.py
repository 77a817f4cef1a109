"""What a server is asked about: whatever waits, by the first server that is there to answer."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import grpc
import pytest

from fakes.clock import FakeClock
from fakes.endpoint_rig import endpoint_rig, known, pod, request
from rolecall_agent.sync.channel import Access
from rolecall_agent.sync.resolver import NoLiveReads, Resolver
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.v1 import broker_pb2_grpc
from rolecall_proto.values import AssignmentUpserted

OWN = "127.0.0.2"
LONG = timedelta(seconds=60)  # A hold that a test ends by an event, or loses.
POD = ip_address("10.0.0.7")

Context = grpc.aio.ServicerContext[pb.ResolvePodsRequest, pb.ResolvePodsResponse]
Answer = Callable[[Context], Awaitable[pb.ResolvePodsResponse]]


async def test_who_came_before_the_first_snapshot_is_asked_about_once_it_is_here() -> None:
    """It has not named the pod: the server may know it all the same, and says so when asked."""
    async with endpoint_rig(hold=LONG) as rig, rig.client(OWN) as client:
        client.send(request())
        await rig.until(lambda: rig.endpoint.held_requests == 1)
        rig.snapshot(*known(pod("127.0.0.3")))
        asked = [str(address) for address in rig.asked]
        rig.tell(AssignmentUpserted(pod(OWN)))

        assert asked == [OWN]
        assert (await client.answer()).body == b"reader"


class Server(broker_pb2_grpc.BrokerServicer):
    """Notes what it is asked, and does as *answer* does."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: asyncio.Queue[list[str]] = asyncio.Queue()

    async def ResolvePods(  # noqa: N802 - as the contract calls it
        self, request: pb.ResolvePodsRequest, context: Context
    ) -> pb.ResolvePodsResponse:
        self.asked.put_nowait(list(request.addresses))
        return await self._answer(context)


@contextlib.asynccontextmanager
async def asking(resolver: Resolver, answer: Answer) -> AsyncGenerator[Server]:
    """Have *resolver* ask a server while the block runs, as it does for one stream."""
    told, server = Server(answer), grpc.aio.server()
    broker_pb2_grpc.add_BrokerServicer_to_server(told, server)  # type: ignore[no-untyped-call]  # it has no types
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel, asyncio.timeout(10):
            stub = broker_pb2_grpc.BrokerStub(channel)
            running = asyncio.create_task(resolver.run(stub), name="ask")
            yield told
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
    finally:
        await server.stop(None)


async def answers(context: Context) -> pb.ResolvePodsResponse:
    del context
    return pb.ResolvePodsResponse()


async def never_answers(context: Context) -> pb.ResolvePodsResponse:
    del context
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def leaves(context: Context) -> pb.ResolvePodsResponse:
    await context.abort(grpc.StatusCode.UNAVAILABLE)
    raise AssertionError("the call is over")


async def fails(context: Context) -> pb.ResolvePodsResponse:
    await context.abort(grpc.StatusCode.INTERNAL)
    raise AssertionError("the call is over")


@pytest.fixture
def resolver(tmp_path: Path) -> Resolver:
    token = tmp_path / "token"
    token.write_text("node-1")
    return Resolver(Access(("unused:1",), token), FakeClock(), NoLiveReads())


@pytest.mark.parametrize("first", [never_answers, leaves])
async def test_the_next_server_is_asked_what_the_last_one_did_not_answer(
    resolver: Resolver, first: Answer
) -> None:
    """The request still waits, and the stream that would have brought its answer is gone."""
    resolver.enqueue(POD)
    async with asking(resolver, first) as one:
        assert await one.asked.get() == [str(POD)]
    async with asking(resolver, answers) as two:
        assert await two.asked.get() == [str(POD)]


@pytest.mark.parametrize("first", [answers, fails])
async def test_what_was_answered_is_not_asked_again_for_a_second(
    resolver: Resolver, first: Answer
) -> None:
    """Not by another server either, and a refusal is an answer."""
    other = ip_address("10.0.0.8")
    resolver.enqueue(POD)
    async with asking(resolver, first) as one:
        assert await one.asked.get() == [str(POD)]
        resolver.enqueue(other)  # Its own question comes after the first answer, or beside it.
        assert await one.asked.get() == [str(other)]
        while resolver._queue._in_flight:  # noqa: SLF001, ASYNC110 - nothing tells of an answer
            await asyncio.sleep(0)
    resolver.enqueue(POD)
    resolver.enqueue(ip_address("10.0.0.9"))
    async with asking(resolver, answers) as two:
        assert await two.asked.get() == ["10.0.0.9"]


async def test_a_server_that_is_not_there_is_not_asked_in_a_circle(resolver: Resolver) -> None:
    """However often the request is repeated: another question takes it along, or another stream."""
    other = ip_address("10.0.0.8")
    resolver.enqueue(POD)
    async with asking(resolver, leaves) as server:
        assert await server.asked.get() == [str(POD)]
        while resolver._queue._in_flight:  # noqa: SLF001, ASYNC110 - as above
            await asyncio.sleep(0)
        for _ in range(50):
            resolver.enqueue(POD)
        resolver.enqueue(other)

        assert await server.asked.get() == [str(POD), str(other)]
