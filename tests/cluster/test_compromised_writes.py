"""A node's kubelet writes whatever it may not, or what it may, to get other roles."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from cluster.attacker import MADE, TREASURE, Field
from cluster.attempts import Attempt
from cluster.attempts_cluster import CLUSTER
from cluster.attempts_pods import PODS
from fakes.system import LIST
from rolecall_proto.v1 import broker_pb2 as pb
from testcluster.client import RefusedError

pytestmark = [pytest.mark.every_kubernetes, pytest.mark.asyncio(loop_scope="module")]


ATTEMPTS = (*PODS, *CLUSTER)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def nothing_stays(field: Field) -> AsyncGenerator[None]:
    """Take back what a test has changed."""
    yield
    await field.restore()


@pytest.mark.parametrize("attempt", [each for each in ATTEMPTS if each.said], ids=str)
async def test_what_is_refused(field: Field, attempt: Attempt) -> None:
    """By the control that the page names, in its own words; and nothing comes of it."""
    async with field.hearing() as heard:
        with pytest.raises(RefusedError, match=attempt.said):
            await attempt.do(field)

        await field.nothing_of_others(heard)


@pytest.mark.parametrize("attempt", [each for each in ATTEMPTS if not each.said], ids=str)
async def test_what_is_allowed_and_gives_nothing(field: Field, attempt: Attempt) -> None:
    """Kubernetes lets it pass; the stream of the node tells of no role that was not there."""
    async with field.hearing() as heard:
        await attempt.do(field)

        await field.nothing_of_others(heard)
        assert (made := heard.of(MADE)) is None or made.state == pb.STATE_DENIED
    assert (await field.at.ask(field.other, LIST, field.vault)) == (200, TREASURE)
