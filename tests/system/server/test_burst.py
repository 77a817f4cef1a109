"""Many pods at once: STS is asked once for each identity, and nobody waits for another."""

import asyncio
import ssl
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fakes import engine as core
from fakes.cluster import namespace, pod
from fakes.system import LIST, System, system
from rolecall_proto.values import Held
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import ThrottledError

PODS = 200
LATENCY = 0.1  # seconds: what STS takes


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[System]:
    """Run a node without a pod; STS takes its time."""
    async with system(tmp_path) as running:
        running.write("rules", namespace())
        await running.start(hold="8s")
        await running.weather(latency=LATENCY)
        yield running


async def all_at_once(node: System, roles: list[str]) -> tuple[list[tuple[int, str]], float]:
    """Let a pod ask for each of *roles* before it is known; return answers, and when they began."""
    sources = [f"127.7.20.{number}" for number in range(1, len(roles) + 1)]
    asking = [asyncio.create_task(ask_patiently(node, source)) for source in sources]
    await node.until_held(len(roles))
    began = time.monotonic()
    pods = zip(sources, roles, strict=True)
    node.write("burst", *(pod(f"p{source}", source, role) for source, role in pods))
    return await asyncio.gather(*asking), began


async def ask_patiently(node: System, source: str) -> tuple[int, str]:
    """Ask as an SDK does: again after a 503."""
    while (answer := await node.get(LIST, source))[0] == 503:
        pass
    return answer


async def test_two_hundred_roles_are_two_hundred_calls(node: System) -> None:
    """Each role is asked for once, all of them at a time, and each pod is told its own."""
    roles = [f"role-{number}" for number in range(PODS)]
    answers, began = await all_at_once(node, roles)
    took = time.monotonic() - began

    assert answers == [(200, role) for role in roles]
    assert await node.calls() == dict.fromkeys(roles, 1)
    # One after the other would be that. What it comes to is the benchmark's to say.
    assert took < PODS * LATENCY


async def test_two_hundred_pods_of_one_role_are_one_call(node: System) -> None:
    """However many wait for it, and all of them are given the same session."""
    answers, _ = await all_at_once(node, ["shared"] * PODS)
    documents = [await node.document(f"127.7.20.{n}", "shared") for n in range(1, PODS + 1, 20)]

    assert set(answers) == {(200, "shared")}
    assert await node.calls() == {"shared": 1}
    assert len({document["AccessKeyId"] for document in documents}) == 1


async def test_a_crowd_that_is_refused_is_one_call(node: System) -> None:
    """Two hundred new pods of a role that STS refuses, and each of them asks: one call."""
    await node.script("refused", code="AccessDenied", status=403)
    answers, began = await all_at_once(node, ["refused"] * PODS)
    calls = await node.calls()
    took = time.monotonic() - began

    assert set(answers) == {(404, "")}
    # A second call is due after two seconds, on its own account.
    assert calls["refused"] == 1 or took > 1.5


async def test_a_crowd_that_throttling_meets_is_served_all_the_same(node: System) -> None:
    """STS takes fifty calls a second and refuses the rest: nobody is dropped or denied."""
    await node.weather(latency=0.01, rate=50)
    roles = [f"role-{number}" for number in range(100)]
    answers, _ = await all_at_once(node, roles)

    assert answers == [(200, role) for role in roles]


async def test_a_pod_among_a_crowd_of_unknown_ones_is_served_at_once(node: System) -> None:
    """Requests that wait cost the others nothing."""
    node.write("one", pod("one", "127.7.21.1", "reader"))
    await node.until_served("127.7.21.1", "reader")
    waiting = [asyncio.create_task(node.get(LIST, f"127.7.22.{n}")) for n in range(1, PODS + 1)]
    await node.until_held(PODS)

    assert await node.get(LIST, "127.7.21.1") == (200, "reader")
    assert not [each for each in waiting if each.done()]
    assert {status for status, _ in await asyncio.gather(*waiting)} == {503}


async def test_a_fleet_that_connects_at_once_is_survived(node: System) -> None:
    """A thousand handshakes, two hundred of them at any time: the server is there afterwards."""
    trust = ssl.create_default_context(cafile=str(node.root / "ca.pem"))
    trust.set_alpn_protocols(["h2"])

    async def connect_again_and_again() -> None:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", node.port("server"), ssl=trust)
            writer.close()

    async with asyncio.TaskGroup() as tasks:
        for number in range(200):
            tasks.create_task(connect_again_and_again(), name=f"agent {number}")

    assert node.running("server").is_alive


def test_a_thousand_that_fall_due_together_are_renewed_in_time() -> None:
    """A server that was long away: all that its agent holds ends in a minute. One call each."""
    pods = [core.pod(f"p{number}", f"role-{number}") for number in range(1000)]
    engine, held = restarted(pods, left=timedelta(minutes=1))
    issued = let_time_pass(engine, timedelta(minutes=1))

    assert len(issued) == 1000
    assert set(Counter(identity for _, identity in issued).values()) == {1}
    assert all(at < end for at, _ in issued for end in {each.expires_at for each in held})


def test_a_thousand_are_renewed_in_time_though_sts_throttles() -> None:
    """It answers twenty calls a second: the budget gives way, and nobody is dropped."""
    pods = [core.pod(f"p{number}", f"role-{number}") for number in range(1000)]
    engine, held = restarted(pods, left=timedelta(minutes=5))
    issued = let_time_pass(engine, timedelta(minutes=5), calls_per_second=20)

    assert {identity for _, identity in issued} == set(engine.calls)
    assert len({identity for _, identity in issued}) == 1000
    assert max(Counter(identity for _, identity in issued).values()) == 1
    assert max(at for at, _ in issued) < held[0].expires_at


def restarted(pods: list[core.Pod], left: timedelta) -> tuple[core.Engine, list[Held]]:
    """Return a server that has just started, and what its agent holds, which has *left* to live."""
    before = core.Engine()
    before.list_pods(*pods)
    before.connect()
    while len(before.calls) < len(pods):
        before.issue()
        before.advance_to_next()
    engine = core.Engine()
    engine.list_pods(*pods)
    held = [Held(each.session_id, engine.now + left) for each in before.calls]
    engine.connect(held=held)
    return engine, held


def let_time_pass(
    engine: core.Engine, span: timedelta, calls_per_second: int | None = None
) -> list[tuple[datetime, Identity]]:
    """Let STS answer each call in a tenth of a second; return what it gave, and when.

    Beyond *calls_per_second* it throttles.
    """
    latency, until = timedelta(seconds=LATENCY), engine.now + span
    flying: deque[tuple[datetime, Identity]] = deque()
    issued: list[tuple[datetime, Identity]] = []
    taken: Counter[int] = Counter()
    while engine.now < until:
        flying.extend((engine.now + latency, identity) for identity in engine.due())
        moments = [engine.broker.next_moment(engine.now), flying[0][0] if flying else None]
        engine.now = min([until, *(each for each in moments if each is not None)])
        while flying and flying[0][0] <= engine.now:
            _, identity = flying.popleft()
            taken[second := int(engine.now.timestamp())] += 1
            if calls_per_second is not None and taken[second] > calls_per_second:
                engine.fail(ThrottledError("Rate exceeded"), identity)
            else:
                engine.issue(identity)
                issued.append((engine.now, identity))
    return issued
