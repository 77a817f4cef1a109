"""A node lies about addresses, and asks for those of others."""

import random
import time
from collections.abc import AsyncGenerator

import grpc
import pytest
import pytest_asyncio

from cluster.attacker import READER, TREASURE, Field, bearer
from cluster.broker_moves import RESOLVE
from fakes.system import LIST
from rolecall_proto.v1 import broker_pb2 as pb

pytestmark = [pytest.mark.every_kubernetes, pytest.mark.asyncio(loop_scope="module")]

NOBODY = "127.112.9.9"  # Of the victim's node; no pod has it.
PAIRS = 200


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def nothing_stays(field: Field) -> AsyncGenerator[None]:
    """Take back what a test has changed."""
    yield
    await field.restore()


async def test_an_address_of_another_nodes_pod_gives_nothing(field: Field) -> None:
    """The liar's pod has its own role there, on the liar's node; the victim's is served as ever."""
    at = field.at
    before = await at.until_given(field.other, field.vault, TREASURE)
    await at.start_node_agent(field.node)
    await field.say_address("web", field.vault)
    await at.until_given(field.node, field.vault, READER)

    assert (await at.ask(field.node, LIST + TREASURE, field.vault))[0] == 404
    assert (await at.ask(field.node, LIST, field.addresses["web"]))[0] == 503
    assert await at.until_given(field.other, field.vault, TREASURE) == before
    async with field.hearing() as heard:
        await field.nothing_of_others(heard)
    await at.running(field.node).stop()


async def test_of_two_claimants_none_is_served(field: Field) -> None:
    """Which of them is right cannot be told, not even on the liar's own node."""
    address = field.addresses["web"]
    await field.at.start_node_agent(field.node)
    await field.at.until_given(field.node, address, READER)
    await field.say_address("tagged", address)

    await field.at.until_unknown(field.node, address)
    await field.at.running(field.node).stop()


async def test_questions_tell_nothing_of_other_nodes(field: Field) -> None:
    """Whether another node has a pod there changes no byte of the answer, and not its time."""
    questions = [
        pb.ResolvePodsRequest(addresses=[address]).SerializeToString()
        for address in (field.vault, NOBODY)
    ]
    slower = 0
    async with field.hearing(), field.channel() as channel:
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(RESOLVE)
        answers = set()
        for _ in range(PAIRS):
            took = [0.0, 0.0]
            for which in random.sample((0, 1), 2):
                began = time.perf_counter()
                answers.add(await ask(questions[which], metadata=bearer(field.token)))
                took[which] = time.perf_counter() - began
            slower += took[0] > took[1]

    assert answers == {
        pb.ResolvePodsResponse(resolutions=[pb.RESOLUTION_UNKNOWN]).SerializeToString()
    }
    # Where both take the same time, one is the slower in half of the pairs. So far from half is
    # nothing that chance brings about in 200 pairs: five standard deviations.
    assert 0.32 * PAIRS < slower < 0.68 * PAIRS
