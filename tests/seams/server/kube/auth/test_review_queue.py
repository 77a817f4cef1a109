"""Each token is reviewed once, and so many at a time, however many come."""

import asyncio
from datetime import timedelta

import pytest

from fakes.authentication import ISSUER, AuthenticatorRig, agent_pod, claims, signed
from rolecall_proto.values import NodeName, PodUid
from rolecall_server.kube.auth.authenticator import TIMEOUT
from rolecall_server.kube.auth.review_queue import (
    AT_ONCE,
    LONGEST_UNPROVEN_QUEUE,
    UNPROVEN_AT_ONCE,
    UNPROVEN_PAUSE,
)
from rolecall_server.model.authenticator import (
    Agent,
    UndecidedError,
)

AGENT = Agent(NodeName("node-1"), PodUid("agent-1"))
SECOND = timedelta(seconds=1)


async def test_a_thousand_agents_at_once_are_reviewed_some_at_a_time(
    auth: AuthenticatorRig,
) -> None:
    """Each once, none refused, and the API server hears of so many at a time."""
    tokens = []
    for number in range(1000):
        auth.run_pod(agent_pod(f"a{number}", f"n{number}"))
        tokens.append(auth.token(f"a{number}", f"n{number}"))
    agents = await asyncio.gather(*map(auth.authenticator.authenticate, tokens))

    assert [agent.node for agent in agents] == [f"n{number}" for number in range(1000)]
    assert len(auth.api.reviews) == len(set(auth.api.reviews)) == 1000
    assert auth.api.most_at_once == AT_ONCE


async def test_a_thousand_calls_with_one_token_are_one_review(auth: AuthenticatorRig) -> None:
    """Whoever leaves takes nothing from the others: the review is nobody's."""
    token = auth.token()
    auth.api.open.clear()
    calls = [asyncio.create_task(auth.authenticator.authenticate(token)) for _ in range(1000)]
    await auth.clock.asleep(1001)
    for call in calls[:500]:
        call.cancel()
    auth.api.open.set()

    assert set(await asyncio.gather(*calls[500:])) == {AGENT}
    assert len(auth.api.reviews) == 1


async def test_a_review_is_remembered_though_everybody_has_left(auth: AuthenticatorRig) -> None:
    """Agents that give up and come back do not begin anew."""
    token = auth.token()
    auth.api.open.clear()
    call = asyncio.create_task(auth.authenticator.authenticate(token))
    await auth.clock.asleep(2)
    call.cancel()
    auth.api.open.set()
    await asyncio.wait([call])

    assert await auth.authenticator.authenticate(token) == AGENT
    assert len(auth.api.reviews) == 1


def flood(auth: AuthenticatorRig, number: int) -> list[asyncio.Task[Agent]]:
    """Return calls with so many tokens that look like an agent's and that no known key signed."""
    said = [claims(auth.clock.now(), jti=str(each)) for each in range(number)]
    calls = (auth.authenticator.authenticate(signed(each, "odd")) for each in said)
    return [asyncio.create_task(call) for call in calls]


async def test_tokens_of_unknown_keys_cost_ten_reviews_a_second(auth: AuthenticatorRig) -> None:
    """Anybody may make them: a few wait for their turn, and the rest are refused at once."""
    began = auth.clock.now()
    calls = flood(auth, LONGEST_UNPROVEN_QUEUE + 10)
    await auth.clock.asleep_until(began + UNPROVEN_PAUSE)
    refused = [call.exception() for call in calls[LONGEST_UNPROVEN_QUEUE:] if call.done()]
    while auth.clock.now() < began + SECOND:
        auth.clock.advance(UNPROVEN_PAUSE)
        await auth.clock.asleep_until(auth.clock.now() + UNPROVEN_PAUSE)

    assert [type(error) for error in refused] == [UndecidedError] * 10
    assert len(auth.api.reviews) == UNPROVEN_AT_ONCE + 10
    assert auth.api.most_at_once == UNPROVEN_AT_ONCE
    auth.clock.advance(TIMEOUT)
    await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("issuer", [ISSUER, "https://the-former"])
async def test_a_flood_of_unknown_keys_keeps_no_agent_out(
    auth: AuthenticatorRig, issuer: str
) -> None:
    """Whose tokens a known key has signed, for whichever issuer, wait for none of the others."""
    calls = flood(auth, 3 * LONGEST_UNPROVEN_QUEUE)
    tokens = []
    for number in range(2 * AT_ONCE):
        auth.run_pod(agent_pod(f"a{number}", f"n{number}"))
        tokens.append(auth.token(f"a{number}", f"n{number}", iss=issuer))
    agents = await asyncio.gather(*map(auth.authenticator.authenticate, tokens))

    assert len({agent.node for agent in agents}) == 2 * AT_ONCE
    auth.clock.advance(TIMEOUT)
    await asyncio.gather(*calls, return_exceptions=True)
