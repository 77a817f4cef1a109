"""Agents are known by the API server's word and the watch's, through storms and outages."""

import asyncio
import logging
from datetime import timedelta

import pytest

from fakes.authentication import AuthenticatorRig, agent_pod, claims, error_of, signed
from rolecall_common.secret import Secret
from rolecall_proto.values import NodeName, PodUid
from rolecall_server.kube.api import RejectedError, UnavailableError
from rolecall_server.kube.auth.authenticator import GOOD_FOR, JITTER, REFUSED_FOR, TIMEOUT
from rolecall_server.kube.auth.circuit_breaker import PAUSE
from rolecall_server.model.authenticator import (
    Agent,
    ForbiddenError,
    UnauthenticatedError,
    UndecidedError,
)

AGENT = Agent(NodeName("node-1"), PodUid("agent-1"))
AWAY = UnavailableError("connection refused")
SHORTEST = GOOD_FOR * (1 - JITTER)


async def test_an_agent_is_known_by_its_pod(auth: AuthenticatorRig) -> None:
    """The node is where the watch shows the pod; it is to be asked again when the review ages."""
    agent = await auth.authenticator.authenticate(auth.token())

    assert agent == AGENT
    assert agent.recheck_at is not None
    assert SHORTEST <= agent.recheck_at - auth.clock.now() <= GOOD_FOR
    assert auth.metrics.token_reviews.value("accepted") == 1


async def test_a_review_is_good_for_five_minutes(auth: AuthenticatorRig) -> None:
    """Whoever comes back within them costs nothing; then the API server is asked again."""
    token = auth.token()
    for elapsed in (timedelta(), SHORTEST, GOOD_FOR - SHORTEST):
        auth.clock.advance(elapsed)
        await auth.authenticator.authenticate(token)

    assert len(auth.api.reviews) == 2


async def test_agents_that_came_together_part(auth: AuthenticatorRig) -> None:
    """What is to be asked again five minutes after a storm is no storm."""
    for number in range(20):
        auth.run_pod(agent_pod(f"a{number}", f"n{number}"))
    tokens = [auth.token(f"a{number}", f"n{number}") for number in range(20)]
    agents = await asyncio.gather(*map(auth.authenticator.authenticate, tokens))

    assert len({agent.recheck_at for agent in agents}) == 20


async def test_no_review_outlives_its_token(auth: AuthenticatorRig) -> None:
    """A token that ends is refused from then on, whatever was remembered of it."""
    ends = auth.clock.now() + timedelta(minutes=1)
    token = auth.token(exp=int(ends.timestamp()))

    assert (await auth.authenticator.authenticate(token)).recheck_at == ends
    auth.clock.advance_to(ends)
    assert await error_of(auth, token) is UnauthenticatedError


async def test_a_rotated_token_is_reviewed_by_itself(auth: AuthenticatorRig) -> None:
    """The kubelet's new token is another token of the same agent."""
    await auth.authenticator.authenticate(auth.token())
    auth.clock.advance(timedelta(minutes=1))

    assert await auth.authenticator.authenticate(auth.token()) == AGENT
    assert len(auth.api.reviews) == 2


@pytest.mark.parametrize(
    "token",
    [
        Secret("garbage"),
        Secret("x" * 100_000),
        signed(claims(AuthenticatorRig().clock.now(), aud=["https://kubernetes.default.svc"])),
        signed(claims(AuthenticatorRig().clock.now() - timedelta(hours=2))),
        signed(claims(AuthenticatorRig().clock.now(), sub="system:serviceaccount:shop:web")),
        signed(claims(AuthenticatorRig().clock.now(), **{"kubernetes.io": None})),
        signed(claims(AuthenticatorRig().clock.now()), "attacker", kid="key-1"),
    ],
    ids=["garbage", "long", "audience", "expired", "account", "unbound", "forged"],
)
async def test_what_cannot_be_an_agents_costs_no_review(
    auth: AuthenticatorRig, token: Secret
) -> None:
    """A flood of garbage reaches nobody behind us."""
    with pytest.raises((UnauthenticatedError, ForbiddenError)):
        await auth.authenticator.authenticate(token)

    assert auth.api.reviews == []


async def test_a_review_that_says_no_is_believed_for_some_seconds(auth: AuthenticatorRig) -> None:
    """A flood of a deleted pod's token is one question; after some seconds it is asked again."""
    auth.api.pods.clear()
    token = auth.token()
    for _ in range(100):
        assert await error_of(auth, token) is UnauthenticatedError
    assert len(auth.api.reviews) == 1
    auth.clock.advance(REFUSED_FOR)
    assert await error_of(auth, token) is UnauthenticatedError

    assert len(auth.api.reviews) == 2


async def test_a_pod_that_the_watch_does_not_show_yet_is_not_refused(
    auth: AuthenticatorRig,
) -> None:
    """Nobody can tell yet; once the watch has it, on a node, the agent comes in."""
    late, token = agent_pod("late"), auth.token("late")
    auth.api.pods.add("late")

    assert await error_of(auth, token) is UndecidedError
    auth.watched[late.uid] = agent_pod("late", node=None)
    assert await error_of(auth, token) is UndecidedError
    auth.watched[late.uid] = late
    assert (await auth.authenticator.authenticate(token)).pod_uid == "late"
    assert len(auth.api.reviews) == 1


async def test_the_token_of_a_deleted_pod_is_of_no_use(auth: AuthenticatorRig) -> None:
    """Out of the watch, nothing that was remembered lets it in, and soon the API server says no."""
    token = auth.token()
    await auth.authenticator.authenticate(token)
    del auth.watched[PodUid("agent-1")]
    auth.api.pods.clear()

    assert await error_of(auth, token) is UndecidedError
    auth.clock.advance(timedelta(seconds=5))
    assert await error_of(auth, token) is UnauthenticatedError


@pytest.mark.parametrize("elsewhere", ["node-2", None])
async def test_a_token_and_a_watch_that_disagree_let_nobody_in(
    auth: AuthenticatorRig, elsewhere: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The token says another node, or the pod is not what an agent's is: the log says so."""
    token = auth.token()
    await auth.authenticator.authenticate(token)
    if elsewhere is not None:
        auth.run_pod(agent_pod(node=elsewhere))
    else:
        pod = auth.watched[PodUid("agent-1")]
        auth.watched[pod.uid] = type(pod)(pod.uid, "shop", pod.name, node=pod.node)

    assert await error_of(auth, token) is ForbiddenError
    assert "an agent's token and the watch disagree" in caplog.messages


async def test_an_old_api_server_names_no_node(auth: AuthenticatorRig) -> None:
    """Then the watch alone says it."""
    without = {**claims(auth.clock.now())["kubernetes.io"], "node": {}}

    assert await auth.authenticator.authenticate(auth.token(**{"kubernetes.io": without})) == AGENT


async def test_while_the_api_server_is_away_the_clusters_keys_vouch(
    auth: AuthenticatorRig, caplog: pytest.LogCaptureFixture
) -> None:
    """The pod must be in the watch; it is said once, counted, and judged again at once after."""
    caplog.set_level(logging.INFO)
    auth.api.trouble = AWAY
    auth.run_pod(agent_pod("agent-2", "node-2"))
    tokens = [auth.token(), auth.token("agent-2", "node-2")]
    agents = [await auth.authenticator.authenticate(token) for token in tokens]

    assert [agent.node for agent in agents] == ["node-1", "node-2"]
    assert all(agent.recheck_at == auth.clock.now() for agent in agents)
    assert await error_of(auth, auth.token("unknown")) is UndecidedError
    assert len(auth.api.reviews) == 1
    assert caplog.messages.count("agents are let in by their tokens' signatures alone") == 1
    assert auth.metrics.tokens_unreviewed.value() == 3
    auth.api.trouble = None
    auth.clock.advance(PAUSE)
    assert (await auth.authenticator.authenticate(tokens[0])).recheck_at > auth.clock.now()
    assert caplog.messages[-1] == "agents' tokens are reviewed again"


@pytest.mark.parametrize(
    "token",
    [
        signed(claims(AuthenticatorRig().clock.now(), iss="https://elsewhere")),
        signed(claims(AuthenticatorRig().clock.now(), nbf=None)),
        signed(claims(AuthenticatorRig().clock.now(), iat=None)),
        signed(claims(AuthenticatorRig().clock.now(), nbf=1_900_000_000)),
        signed(claims(AuthenticatorRig().clock.now()), "unknown"),
    ],
    ids=["issuer", "no nbf", "no iat", "not yet", "unknown key"],
)
async def test_keys_vouch_for_what_they_have_signed_only(
    auth: AuthenticatorRig, token: Secret
) -> None:
    """For this issuer, in force, by a key that is known: else nobody can tell."""
    auth.api.trouble = AWAY

    assert await error_of(auth, token) is UndecidedError


async def test_a_no_is_not_forgotten_in_an_outage(auth: AuthenticatorRig) -> None:
    """A token that was just refused is not let in by its signature."""
    auth.api.pods.clear()
    token = auth.token()
    await error_of(auth, token)
    auth.api.trouble = AWAY

    assert await error_of(auth, token) is UnauthenticatedError


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_server_that_may_not_ask_lets_nobody_in(
    auth: AuthenticatorRig, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The API server is there and says no to us: no key vouches then, and the log is loud."""
    auth.api.trouble = RejectedError(status, "tokenreviews is forbidden")

    assert await error_of(auth, auth.token()) is UndecidedError
    assert await error_of(auth, auth.token()) is UndecidedError
    assert [each.levelname for each in caplog.records] == ["ERROR"]
    assert len(auth.api.reviews) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"status":{"authenticated":"yes"}}'])
async def test_an_answer_that_is_no_review_is_none(auth: AuthenticatorRig, body: bytes) -> None:
    """What comes from a proxy is as good as nothing: the keys vouch."""
    auth.api.odd_answer = body
    agent = await auth.authenticator.authenticate(auth.token())

    assert agent.recheck_at == auth.clock.now()


async def test_an_api_server_that_says_nothing_is_away(auth: AuthenticatorRig) -> None:
    """An agent gets its answer within some seconds, and the next one need not wait for it."""
    auth.api.open.clear()
    waiting = asyncio.create_task(auth.authenticator.authenticate(auth.token()))
    await auth.clock.asleep(2)
    auth.clock.advance(TIMEOUT)

    assert await waiting == AGENT
    auth.run_pod(agent_pod("agent-2", "node-2"))
    assert (await auth.authenticator.authenticate(auth.token("agent-2", "node-2"))).node
    assert len(auth.api.reviews) == 1


async def test_a_strange_token_that_is_slow_is_no_outage(auth: AuthenticatorRig) -> None:
    """Only what the cluster has signed can show that reviews are not to be had."""
    auth.api.open.clear()
    odd = signed(claims(auth.clock.now()), "odd")
    strange = asyncio.create_task(auth.authenticator.authenticate(odd))
    await auth.clock.asleep(2)
    auth.clock.advance(TIMEOUT)
    with pytest.raises(UndecidedError):
        await strange
    auth.api.open.set()

    assert (await auth.authenticator.authenticate(auth.token())).recheck_at is not None
    assert auth.metrics.tokens_unreviewed.value() == 0


async def test_before_and_after_it_runs_nobody_comes_in() -> None:
    """Nobody reviews then, so nobody can tell."""
    auth = AuthenticatorRig()
    auth.run_pod(agent_pod())
    async with auth.running():
        auth.api.open.clear()
        call = asyncio.create_task(auth.authenticator.authenticate(auth.token()))
        await auth.clock.asleep(2)

    with pytest.raises(UndecidedError):
        await call
