"""An agent's good token in bad hands: after its end, with false claims, and in floods."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Iterator
from dataclasses import dataclass
from dataclasses import field as made_of
from datetime import UTC, datetime, timedelta

import grpc
import pytest
import pytest_asyncio

from cluster.attacker import PATIENCE, TREASURE, Field, bearer, pod_manifest
from cluster.broker_moves import RESOLVE, WATCH, forged, with_another_payload
from cluster.serving import ROLE, SPACE, loopback_node
from fakes.system import BASE, REGION
from rolecall_proto.codec import encode_hello
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.values import Held, Hello, SessionId
from rolecall_server.model.identity import Identity

pytestmark = [pytest.mark.every_kubernetes, pytest.mark.asyncio(loop_scope="module")]

THIRD = 113
HOUR = timedelta(hours=1)
# How many refused calls are a flood that is under way.
MANY = {grpc.StatusCode.UNAUTHENTICATED: 100, grpc.StatusCode.RESOURCE_EXHAUSTED: 10}


@dataclass
class Ends:
    """How calls of a flood have ended, and whether there were many of each kind."""

    seen: "Counter[grpc.StatusCode]" = made_of(default_factory=Counter)
    many: asyncio.Event = made_of(default_factory=asyncio.Event)

    def note(self, code: grpc.StatusCode) -> None:
        self.seen[code] += 1
        if all(self.seen[each] >= count for each, count in MANY.items()):
            self.many.set()


@pytest_asyncio.fixture(loop_scope="module")
async def third(field: Field) -> AsyncGenerator[str]:
    """Make one more node, whose agent can be done without."""
    made = await field.admin.create(loopback_node(THIRD))
    yield made["metadata"]["name"]
    await field.admin.delete("Node", made["metadata"]["name"])


async def test_with_the_agents_pod_its_stream_and_its_token_end(field: Field, third: str) -> None:
    """Neither a token that was let in comes back, nor one that was kept in reserve."""
    token, reserve = [await field.at.agent_token(third) for _ in range(2)]
    pod = await field.at.agent_pod(third)
    async with field.hearing(token) as heard:
        await field.admin.delete("Pod", pod["metadata"]["name"], SPACE, grace=0)

        assert await heard.ended() is grpc.StatusCode.UNAVAILABLE
    # As long as the review of it is fresh, the server says that it cannot tell.
    again = await refused(field, token)
    assert again in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED}
    assert await refused(field, reserve) is grpc.StatusCode.UNAUTHENTICATED


async def test_claims_get_nothing_of_others(field: Field) -> None:
    """Who says that it holds all there is to hold is told of its own pods alone, as ever."""
    victim = await field.at.agent_token(field.other)
    async with field.hearing(victim) as theirs:
        treasure = next(iter(theirs.sessions))
    claims = tuple(Held(SessionId(each), now() + 10 * HOUR) for each in (treasure, "0" * 32))
    async with field.hearing(hello=encode_hello(Hello("0.1.0", claims))) as heard:
        await field.nothing_of_others(heard)
    async with field.hearing(victim) as theirs:
        assert theirs.roles_of_granted() == {TREASURE}


async def test_a_false_claim_takes_nothing_from_others(field: Field) -> None:
    """The liar's own pod goes without; the same role's pod on another node is given it."""
    shared = Identity(f"{BASE}shared", f"{field.own}.default", HOUR, region=REGION).session_id
    hello = encode_hello(Hello("0.1.0", (Held(shared, now() + 10 * HOUR),)))
    await field.admin.create(pod_manifest(field.own, "liar", field.node, {ROLE: "shared"}))
    # A claim is for the pods that the server knows when it is made; what is served by now came
    # after this one.
    await served(field, "fence", field.other, "fence")
    async with field.hearing(hello=hello) as heard:
        await heard.until(lambda: (pod := heard.of("liar")) is not None and bool(pod.session_id))
        assert "shared" not in await field.at.calls()

        await served(field, "honest", field.other, "shared")
        assert (pod := heard.of("liar")) is not None
        assert pod.session_id == shared
    for name in ("liar", "honest", "fence"):
        await field.admin.delete("Pod", name, field.own, grace=0)


async def test_floods_keep_nobody_out(field: Field) -> None:
    """Another node's agent is let in and another node's new pod is served in the midst of it."""
    ends = Ends()
    victim = await field.at.agent_token(field.other)
    async with asyncio.TaskGroup() as tasks:
        floods = [tasks.create_task(each, name="flood") for each in await all_floods(field, ends)]
        async with asyncio.timeout(PATIENCE):
            await ends.many.wait()

        async with field.hearing(victim) as theirs:
            assert theirs.roles_of_granted() == {TREASURE}
        await served(field, "new", field.other, "new")
        for flood in floods:
            flood.cancel()

    async with field.hearing() as heard:
        await field.nothing_of_others(heard)


async def served(field: Field, name: str, node: str, role: str) -> None:
    """Make a pod of *name*, and return once it is served."""
    await field.admin.create(pod_manifest(field.own, name, node, {ROLE: role}))
    await field.at.until_given(node, await field.address_of(name), role)


async def all_floods(field: Field, ends: Ends) -> list[Coroutine[None, None, None]]:
    """Return what floods: forged tokens, streams, and questions, each on several connections."""
    question = pb.ResolvePodsRequest(addresses=["127.0.0.9"] * 200).SerializeToString()
    bad = [await make(field) for make in (forged(), forged(kid="mine"), with_another_payload)]
    good = field.token
    return [
        *(flood(field, ends, WATCH, b"", numbered(token)) for token in bad for _ in range(3)),
        *(flood(field, ends, WATCH, b"", itertools.repeat(good)) for _ in range(3)),
        *(flood(field, ends, RESOLVE, question, itertools.repeat(good)) for _ in range(3)),
    ]


def numbered(token: str) -> Iterator[str]:
    """Yield tokens that are as bad as *token*, and each another one."""
    return (f"{token}{number:08}" for number in itertools.count())


async def flood(field: Field, ends: Ends, method: str, body: bytes, tokens: Iterator[str]) -> None:
    """Call without end, some calls at once, and count how they end."""

    async def call(token: str) -> None:
        opened = ask(body, metadata=bearer(token))
        try:
            await opened.read()
        except grpc.aio.AioRpcError as error:
            ends.note(error.code())
        opened.cancel()

    async with field.channel() as channel:
        ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(method)
        while True:
            await asyncio.gather(*(call(token) for token in itertools.islice(tokens, 8)))


async def refused(field: Field, token: str) -> grpc.StatusCode:
    """Return how a stream is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with field.hearing(token):
            pass
    return caught.value.code()


def now() -> datetime:
    return datetime.now(UTC)
