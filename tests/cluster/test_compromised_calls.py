"""An agent's token, or none, and any bytes: what a server gives to whom."""

import re

import grpc
import pytest

from cluster.attacker import Field
from cluster.attempts import Attempt
from cluster.attempts_broker import ATTEMPTS

pytestmark = [pytest.mark.every_kubernetes, pytest.mark.asyncio(loop_scope="module")]


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
