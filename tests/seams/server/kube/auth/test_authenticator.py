"""Agents are known by the API server's word and the watch's, through storms and outages."""

import asyncio
import json
import logging
import random
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from fakes.vouching import ISSUER, Vouching, agent_pod, claims, signed
from rolecall_common.secret import Secret
from rolecall_proto.values import NodeName, PodUid
from rolecall_server.kube.api import RejectedError, UnavailableError
from rolecall_server.kube.auth.authenticator import GOOD_FOR, JITTER, REFUSED_FOR, TIMEOUT
from rolecall_server.kube.auth.circuit_breaker import PAUSE
from rolecall_server.kube.auth.jwks import AT_MOST_EVERY, REFRESH, KeySet, SigningKeys
from rolecall_server.kube.auth.review_queue import (
    AT_ONCE,
    LONGEST_UNPROVEN_QUEUE,
    UNPROVEN_AT_ONCE,
    UNPROVEN_PAUSE,
)
from rolecall_server.model.authenticator import (
    Agent,
    AuthenticationError,
    ForbiddenError,
    UnauthenticatedError,
    UndecidedError,
)

AGENT = Agent(NodeName("node-1"), PodUid("agent-1"))
AWAY = UnavailableError("connection refused")
SECOND = timedelta(seconds=1)
SHORTEST = GOOD_FOR * (1 - JITTER)
LONGEST_REFRESH = REFRESH.most


@pytest.fixture
async def vouching() -> AsyncGenerator[Vouching]:
    """Give an authenticator whose keys are known, and the pod of one agent."""
    made = Vouching()
    made.run_pod(agent_pod())
    async with made.running():
        yield made


async def error_of(vouching: Vouching, token: Secret) -> type[AuthenticationError]:
    with pytest.raises(AuthenticationError) as caught:
        await vouching.authenticator.authenticate(token)
    assert token.reveal() not in str(caught.value)
    return type(caught.value)


async def test_an_agent_is_known_by_its_pod(vouching: Vouching) -> None:
    """The node is where the watch shows the pod; it is to be asked again when the review ages."""
    agent = await vouching.authenticator.authenticate(vouching.token())

    assert agent == AGENT
    assert agent.recheck_at is not None
    assert SHORTEST <= agent.recheck_at - vouching.clock.now() <= GOOD_FOR
    assert vouching.metrics.token_reviews.value("accepted") == 1


async def test_a_review_is_good_for_five_minutes(vouching: Vouching) -> None:
    """Whoever comes back within them costs nothing; then the API server is asked again."""
    token = vouching.token()
    for elapsed in (timedelta(), SHORTEST, GOOD_FOR - SHORTEST):
        vouching.clock.advance(elapsed)
        await vouching.authenticator.authenticate(token)

    assert len(vouching.api.reviews) == 2


async def test_agents_that_came_together_part(vouching: Vouching) -> None:
    """What is to be asked again five minutes after a storm is no storm."""
    for number in range(20):
        vouching.run_pod(agent_pod(f"a{number}", f"n{number}"))
    tokens = [vouching.token(f"a{number}", f"n{number}") for number in range(20)]
    agents = await asyncio.gather(*map(vouching.authenticator.authenticate, tokens))

    assert len({agent.recheck_at for agent in agents}) == 20


async def test_no_review_outlives_its_token(vouching: Vouching) -> None:
    """A token that ends is refused from then on, whatever was remembered of it."""
    ends = vouching.clock.now() + timedelta(minutes=1)
    token = vouching.token(exp=int(ends.timestamp()))

    assert (await vouching.authenticator.authenticate(token)).recheck_at == ends
    vouching.clock.advance_to(ends)
    assert await error_of(vouching, token) is UnauthenticatedError


async def test_a_rotated_token_is_reviewed_by_itself(vouching: Vouching) -> None:
    """The kubelet's new token is another token of the same agent."""
    await vouching.authenticator.authenticate(vouching.token())
    vouching.clock.advance(timedelta(minutes=1))

    assert await vouching.authenticator.authenticate(vouching.token()) == AGENT
    assert len(vouching.api.reviews) == 2


@pytest.mark.parametrize(
    "token",
    [
        Secret("garbage"),
        Secret("x" * 100_000),
        signed(claims(Vouching().clock.now(), aud=["https://kubernetes.default.svc"])),
        signed(claims(Vouching().clock.now() - timedelta(hours=2))),
        signed(claims(Vouching().clock.now(), sub="system:serviceaccount:shop:web")),
        signed(claims(Vouching().clock.now(), **{"kubernetes.io": None})),
        signed(claims(Vouching().clock.now()), "attacker", kid="key-1"),
    ],
    ids=["garbage", "long", "audience", "expired", "account", "unbound", "forged"],
)
async def test_what_cannot_be_an_agents_costs_no_review(vouching: Vouching, token: Secret) -> None:
    """A flood of garbage reaches nobody behind us."""
    with pytest.raises((UnauthenticatedError, ForbiddenError)):
        await vouching.authenticator.authenticate(token)

    assert vouching.api.reviews == []


async def test_a_review_that_says_no_is_believed_for_some_seconds(vouching: Vouching) -> None:
    """A flood of a deleted pod's token is one question; after some seconds it is asked again."""
    vouching.api.pods.clear()
    token = vouching.token()
    for _ in range(100):
        assert await error_of(vouching, token) is UnauthenticatedError
    assert len(vouching.api.reviews) == 1
    vouching.clock.advance(REFUSED_FOR)
    assert await error_of(vouching, token) is UnauthenticatedError

    assert len(vouching.api.reviews) == 2


async def test_a_pod_that_the_watch_does_not_show_yet_is_not_refused(vouching: Vouching) -> None:
    """Nobody can tell yet; once the watch has it, on a node, the agent comes in."""
    late, token = agent_pod("late"), vouching.token("late")
    vouching.api.pods.add("late")

    assert await error_of(vouching, token) is UndecidedError
    vouching.watched[late.uid] = agent_pod("late", node=None)
    assert await error_of(vouching, token) is UndecidedError
    vouching.watched[late.uid] = late
    assert (await vouching.authenticator.authenticate(token)).pod_uid == "late"
    assert len(vouching.api.reviews) == 1


async def test_the_token_of_a_deleted_pod_is_of_no_use(vouching: Vouching) -> None:
    """Out of the watch, nothing that was remembered lets it in, and soon the API server says no."""
    token = vouching.token()
    await vouching.authenticator.authenticate(token)
    del vouching.watched[PodUid("agent-1")]
    vouching.api.pods.clear()

    assert await error_of(vouching, token) is UndecidedError
    vouching.clock.advance(timedelta(seconds=5))
    assert await error_of(vouching, token) is UnauthenticatedError


@pytest.mark.parametrize("elsewhere", ["node-2", None])
async def test_a_token_and_a_watch_that_disagree_let_nobody_in(
    vouching: Vouching, elsewhere: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The token says another node, or the pod is not what an agent's is: the log says so."""
    token = vouching.token()
    await vouching.authenticator.authenticate(token)
    if elsewhere is not None:
        vouching.run_pod(agent_pod(node=elsewhere))
    else:
        pod = vouching.watched[PodUid("agent-1")]
        vouching.watched[pod.uid] = type(pod)(pod.uid, "shop", pod.name, node=pod.node)

    assert await error_of(vouching, token) is ForbiddenError
    assert "an agent's token and the watch disagree" in caplog.messages


async def test_an_old_api_server_names_no_node(vouching: Vouching) -> None:
    """Then the watch alone says it."""
    without = {**claims(vouching.clock.now())["kubernetes.io"], "node": {}}

    assert (
        await vouching.authenticator.authenticate(vouching.token(**{"kubernetes.io": without}))
        == AGENT
    )


async def test_a_thousand_agents_at_once_are_reviewed_some_at_a_time(vouching: Vouching) -> None:
    """Each once, none refused, and the API server hears of so many at a time."""
    tokens = []
    for number in range(1000):
        vouching.run_pod(agent_pod(f"a{number}", f"n{number}"))
        tokens.append(vouching.token(f"a{number}", f"n{number}"))
    agents = await asyncio.gather(*map(vouching.authenticator.authenticate, tokens))

    assert [agent.node for agent in agents] == [f"n{number}" for number in range(1000)]
    assert len(vouching.api.reviews) == len(set(vouching.api.reviews)) == 1000
    assert vouching.api.most_at_once == AT_ONCE


async def test_a_thousand_calls_with_one_token_are_one_review(vouching: Vouching) -> None:
    """Whoever leaves takes nothing from the others: the review is nobody's."""
    token = vouching.token()
    vouching.api.open.clear()
    calls = [asyncio.create_task(vouching.authenticator.authenticate(token)) for _ in range(1000)]
    await vouching.clock.asleep(1001)
    for call in calls[:500]:
        call.cancel()
    vouching.api.open.set()

    assert set(await asyncio.gather(*calls[500:])) == {AGENT}
    assert len(vouching.api.reviews) == 1


async def test_a_review_is_remembered_though_everybody_has_left(vouching: Vouching) -> None:
    """Agents that give up and come back do not begin anew."""
    token = vouching.token()
    vouching.api.open.clear()
    call = asyncio.create_task(vouching.authenticator.authenticate(token))
    await vouching.clock.asleep(2)
    call.cancel()
    vouching.api.open.set()
    await asyncio.wait([call])

    assert await vouching.authenticator.authenticate(token) == AGENT
    assert len(vouching.api.reviews) == 1


def flood(vouching: Vouching, number: int) -> list[asyncio.Task[Agent]]:
    """Return calls with so many tokens that look like an agent's and that no known key signed."""
    said = [claims(vouching.clock.now(), jti=str(each)) for each in range(number)]
    calls = (vouching.authenticator.authenticate(signed(each, "odd")) for each in said)
    return [asyncio.create_task(call) for call in calls]


async def test_tokens_of_unknown_keys_cost_ten_reviews_a_second(vouching: Vouching) -> None:
    """Anybody may make them: a few wait for their turn, and the rest are refused at once."""
    began = vouching.clock.now()
    calls = flood(vouching, LONGEST_UNPROVEN_QUEUE + 10)
    await vouching.clock.asleep_until(began + UNPROVEN_PAUSE)
    refused = [call.exception() for call in calls[LONGEST_UNPROVEN_QUEUE:] if call.done()]
    while vouching.clock.now() < began + SECOND:
        vouching.clock.advance(UNPROVEN_PAUSE)
        await vouching.clock.asleep_until(vouching.clock.now() + UNPROVEN_PAUSE)

    assert [type(error) for error in refused] == [UndecidedError] * 10
    assert len(vouching.api.reviews) == UNPROVEN_AT_ONCE + 10
    assert vouching.api.most_at_once == UNPROVEN_AT_ONCE
    vouching.clock.advance(TIMEOUT)
    await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("issuer", [ISSUER, "https://the-former"])
async def test_a_flood_of_unknown_keys_keeps_no_agent_out(vouching: Vouching, issuer: str) -> None:
    """Whose tokens a known key has signed, for whichever issuer, wait for none of the others."""
    calls = flood(vouching, 3 * LONGEST_UNPROVEN_QUEUE)
    tokens = []
    for number in range(2 * AT_ONCE):
        vouching.run_pod(agent_pod(f"a{number}", f"n{number}"))
        tokens.append(vouching.token(f"a{number}", f"n{number}", iss=issuer))
    agents = await asyncio.gather(*map(vouching.authenticator.authenticate, tokens))

    assert len({agent.node for agent in agents}) == 2 * AT_ONCE
    vouching.clock.advance(TIMEOUT)
    await asyncio.gather(*calls, return_exceptions=True)


async def test_while_the_api_server_is_away_the_clusters_keys_vouch(
    vouching: Vouching, caplog: pytest.LogCaptureFixture
) -> None:
    """The pod must be in the watch; it is said once, counted, and judged again at once after."""
    caplog.set_level(logging.INFO)
    vouching.api.trouble = AWAY
    vouching.run_pod(agent_pod("agent-2", "node-2"))
    tokens = [vouching.token(), vouching.token("agent-2", "node-2")]
    agents = [await vouching.authenticator.authenticate(token) for token in tokens]

    assert [agent.node for agent in agents] == ["node-1", "node-2"]
    assert all(agent.recheck_at == vouching.clock.now() for agent in agents)
    assert await error_of(vouching, vouching.token("unknown")) is UndecidedError
    assert len(vouching.api.reviews) == 1
    assert caplog.messages.count("agents are let in by their tokens' signatures alone") == 1
    assert vouching.metrics.tokens_unreviewed.value() == 3
    vouching.api.trouble = None
    vouching.clock.advance(PAUSE)
    assert (await vouching.authenticator.authenticate(tokens[0])).recheck_at > vouching.clock.now()
    assert caplog.messages[-1] == "agents' tokens are reviewed again"


@pytest.mark.parametrize(
    "token",
    [
        signed(claims(Vouching().clock.now(), iss="https://elsewhere")),
        signed(claims(Vouching().clock.now(), nbf=None)),
        signed(claims(Vouching().clock.now(), iat=None)),
        signed(claims(Vouching().clock.now(), nbf=1_900_000_000)),
        signed(claims(Vouching().clock.now()), "unknown"),
    ],
    ids=["issuer", "no nbf", "no iat", "not yet", "unknown key"],
)
async def test_keys_vouch_for_what_they_have_signed_only(vouching: Vouching, token: Secret) -> None:
    """For this issuer, in force, by a key that is known: else nobody can tell."""
    vouching.api.trouble = AWAY

    assert await error_of(vouching, token) is UndecidedError


async def test_a_no_is_not_forgotten_in_an_outage(vouching: Vouching) -> None:
    """A token that was just refused is not let in by its signature."""
    vouching.api.pods.clear()
    token = vouching.token()
    await error_of(vouching, token)
    vouching.api.trouble = AWAY

    assert await error_of(vouching, token) is UnauthenticatedError


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_server_that_may_not_ask_lets_nobody_in(
    vouching: Vouching, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The API server is there and says no to us: no key vouches then, and the log is loud."""
    vouching.api.trouble = RejectedError(status, "tokenreviews is forbidden")

    assert await error_of(vouching, vouching.token()) is UndecidedError
    assert await error_of(vouching, vouching.token()) is UndecidedError
    assert [each.levelname for each in caplog.records] == ["ERROR"]
    assert len(vouching.api.reviews) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"status":{"authenticated":"yes"}}'])
async def test_an_answer_that_is_no_review_is_none(vouching: Vouching, body: bytes) -> None:
    """What comes from a proxy is as good as nothing: the keys vouch."""
    vouching.api.odd_answer = body
    agent = await vouching.authenticator.authenticate(vouching.token())

    assert agent.recheck_at == vouching.clock.now()


async def test_an_api_server_that_says_nothing_is_away(vouching: Vouching) -> None:
    """An agent gets its answer within some seconds, and the next one need not wait for it."""
    vouching.api.open.clear()
    waiting = asyncio.create_task(vouching.authenticator.authenticate(vouching.token()))
    await vouching.clock.asleep(2)
    vouching.clock.advance(TIMEOUT)

    assert await waiting == AGENT
    vouching.run_pod(agent_pod("agent-2", "node-2"))
    assert (await vouching.authenticator.authenticate(vouching.token("agent-2", "node-2"))).node
    assert len(vouching.api.reviews) == 1


async def test_a_strange_token_that_is_slow_is_no_outage(vouching: Vouching) -> None:
    """Only what the cluster has signed can show that reviews are not to be had."""
    vouching.api.open.clear()
    odd = signed(claims(vouching.clock.now()), "odd")
    strange = asyncio.create_task(vouching.authenticator.authenticate(odd))
    await vouching.clock.asleep(2)
    vouching.clock.advance(TIMEOUT)
    with pytest.raises(UndecidedError):
        await strange
    vouching.api.open.set()

    assert (await vouching.authenticator.authenticate(vouching.token())).recheck_at is not None
    assert vouching.metrics.tokens_unreviewed.value() == 0


async def test_a_new_key_is_found_when_it_is_first_seen(vouching: Vouching) -> None:
    """Not before the next minute, however many tokens name unknown ones."""
    vouching.api.keys.append("key-2")
    for number in range(UNPROVEN_AT_ONCE):
        await error_of(vouching, signed(claims(vouching.clock.now(), jti=str(number)), "odd"))
    fetched = len(vouching.api.gets)
    vouching.clock.advance(AT_MOST_EVERY)
    await vouching.clock.asleep()
    assert len(vouching.api.gets) == fetched + 2
    vouching.api.trouble = AWAY

    token = signed(claims(vouching.clock.now()), "key-2")
    assert await vouching.authenticator.authenticate(token) == AGENT


async def test_keys_stay_while_the_api_server_is_away(vouching: Vouching) -> None:
    """An outage of hours takes nothing away."""
    vouching.api.trouble = AWAY
    for _ in range(3):
        vouching.clock.advance(timedelta(hours=1))
        await vouching.clock.asleep()

    assert await vouching.authenticator.authenticate(vouching.token()) == AGENT
    assert vouching.metrics.key_fetches.value("unavailable") > 0


async def test_without_keys_reviews_do() -> None:
    """A server that may not read them knows agents all the same, as long as it may ask."""
    vouching = Vouching()
    vouching.api.keys = []
    vouching.run_pod(agent_pod())
    async with vouching.running():
        token = vouching.token()
        vouching.api.keys = ["key-1"]  # It reviews by them; the authenticator has not read them.

        assert await vouching.authenticator.authenticate(token) == AGENT
        vouching.clock.advance(GOOD_FOR)
        vouching.api.trouble = AWAY
        assert await error_of(vouching, token) is UndecidedError
    assert vouching.metrics.key_fetches.value("unusable") == 1


async def test_before_and_after_it_runs_nobody_comes_in() -> None:
    """Nobody reviews then, so nobody can tell."""
    vouching = Vouching()
    vouching.run_pod(agent_pod())
    async with vouching.running():
        vouching.api.open.clear()
        call = asyncio.create_task(vouching.authenticator.authenticate(vouching.token()))
        await vouching.clock.asleep(2)

    with pytest.raises(UndecidedError):
        await call


async def test_keys_are_told_once_and_again_when_they_change() -> None:
    """Nodes check the tokens of their pods by them, and hear of nothing that is as it was."""
    at = Vouching()
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
