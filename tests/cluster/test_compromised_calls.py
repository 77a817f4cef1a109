"""An agent's token, or none, and any bytes: what a server gives to whom."""

import re
from collections.abc import AsyncGenerator

import grpc
import pytest
import pytest_asyncio

from cluster.attacker import Field, battlefield
from cluster.attempts import Attempt
from cluster.attempts_broker import ATTEMPTS
from testcluster.cluster import Cluster

pytestmark = [pytest.mark.every_kubernetes, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def field(
    released: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Field]:
    """Two nodes, an attacker on one of them, a server, and the other's agent."""
    async with battlefield(released, tmp_path_factory.mktemp("field")) as field:
        yield field


@pytest.mark.parametrize("attempt", [each for each in ATTEMPTS if each.said], ids=str)
async def test_what_is_refused(field: Field, attempt: Attempt) -> None:
    """With a constant sentence for who asks, and with the reason in the server's log."""
    since = len(field.at.running("server").err)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await attempt.do(field)

    answer = f"{refused.value.code().name}: {refused.value.details()}"
    assert re.search(attempt.said, answer), answer
    await field.until_logged(attempt.why, since)


@pytest.mark.parametrize("attempt", [each for each in ATTEMPTS if not each.said], ids=str)
async def test_what_is_answered_and_gives_nothing(field: Field, attempt: Attempt) -> None:
    """The server takes no notice of what it was told beside the token."""
    async with field.hearing() as heard:
        await attempt.do(field)

        await field.nothing_of_others(heard)
