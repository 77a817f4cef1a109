"""The cluster's keys are read in time, kept in an outage, and told when they change."""

import asyncio
import json
import random
from datetime import timedelta

from fakes.authentication import AuthenticatorRig, agent_pod, claims, error_of, signed
from rolecall_proto.values import NodeName, PodUid
from rolecall_server.kube.api import UnavailableError
from rolecall_server.kube.auth.authenticator import GOOD_FOR
from rolecall_server.kube.auth.jwks import AT_MOST_EVERY, REFRESH, KeySet, SigningKeys
from rolecall_server.kube.auth.review_queue import (
    UNPROVEN_AT_ONCE,
)
from rolecall_server.model.authenticator import (
    Agent,
    UndecidedError,
)

AGENT = Agent(NodeName("node-1"), PodUid("agent-1"))
AWAY = UnavailableError("connection refused")
LONGEST_REFRESH = REFRESH.most


async def test_a_new_key_is_found_when_it_is_first_seen(auth: AuthenticatorRig) -> None:
    """Not before the next minute, however many tokens name unknown ones."""
    auth.api.keys.append("key-2")
    for number in range(UNPROVEN_AT_ONCE):
        await error_of(auth, signed(claims(auth.clock.now(), jti=str(number)), "odd"))
    fetched = len(auth.api.gets)
    auth.clock.advance(AT_MOST_EVERY)
    await auth.clock.asleep()
    assert len(auth.api.gets) == fetched + 2
    auth.api.trouble = AWAY

    token = signed(claims(auth.clock.now()), "key-2")
    assert await auth.authenticator.authenticate(token) == AGENT


async def test_keys_stay_while_the_api_server_is_away(auth: AuthenticatorRig) -> None:
    """An outage of hours takes nothing away."""
    auth.api.trouble = AWAY
    for _ in range(3):
        auth.clock.advance(timedelta(hours=1))
        await auth.clock.asleep()

    assert await auth.authenticator.authenticate(auth.token()) == AGENT
    assert auth.metrics.key_fetches.value("unavailable") > 0


async def test_without_keys_reviews_do() -> None:
    """A server that may not read them knows agents all the same, as long as it may ask."""
    auth = AuthenticatorRig()
    auth.api.keys = []
    auth.run_pod(agent_pod())
    async with auth.running():
        token = auth.token()
        auth.api.keys = ["key-1"]  # It reviews by them; the authenticator has not read them.

        assert await auth.authenticator.authenticate(token) == AGENT
        auth.clock.advance(GOOD_FOR)
        auth.api.trouble = AWAY
        assert await error_of(auth, token) is UndecidedError
    assert auth.metrics.key_fetches.value("unusable") == 1


async def test_keys_are_told_once_and_again_when_they_change() -> None:
    """Nodes check the tokens of their pods by them, and hear of nothing that is as it was."""
    at = AuthenticatorRig()
    told: list[KeySet] = []
    dice = random.Random(1)  # noqa: S311 - jitter
    keys = SigningKeys(at.api, "any", at.clock, at.metrics, dice, changed=told.append)
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(keys.run(), name="keep the keys")
        await at.clock.asleep()
        for names in (["key-1"], ["key-1", "key-2"], ["key-2", "key-1"], ["key-2"]):
            at.api.keys = names
            at.clock.advance(LONGEST_REFRESH)
            await at.clock.asleep()
        keeping.cancel()

    ids = [[json.loads(text)["kid"] for text in each.texts] for each in told]
    assert list(map(sorted, ids)) == [["key-1"], ["key-1", "key-2"], ["key-2"]]
    assert len(at.api.gets) == 10
