"""What pods notice of a part that is away: the rows of the outage table, with real processes.

One test stops what another needs, so each has a system of its own.
"""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from fakes.cluster import namespace, pod
from fakes.system import LIST, System, system

READER, WRITER, LATE = (f"127.7.3.{number}" for number in range(1, 4))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[System]:
    """Make a node with two pods; each test starts what it needs."""
    async with system(tmp_path) as running:
        running.write("all", namespace(), pod("reader", READER, "reader"))
        running.write("more", pod("writer", WRITER, "team/writer"))
        yield running


def is_reader(status: int, body: str) -> bool:
    return (status, body) == (200, "reader")


async def test_a_server_that_is_away_is_not_noticed(node: System) -> None:
    """What is held is served on; the server's return asks STS for nothing that is held."""
    await node.start()
    reader = await node.until_served(READER, "reader")
    writer = await node.until_served(WRITER, "team/writer")
    calls = await node.calls()
    await node.running("server").stop()
    await node.running("agent").wait_line("the stream ended")

    assert await node.document(READER, "reader") == reader
    assert await node.document(WRITER, "team/writer") == writer
    status, readiness = await node.probe("agent", "/readyz")
    assert (status, "no server is connected" in readiness) == (200, True)

    again = await node.start_server()
    await again.wait_line("an agent connected", '"held": 2')
    assert await node.document(READER, "reader") == reader
    node.write("late", pod("late", LATE, "late"))
    await node.until_served(LATE, "late")
    assert await node.calls() == {**calls, "late": 1}


async def test_metadata_tokens_outlive_agent_and_server(node: System) -> None:
    """Their key is derived from the servers' own secret, for this node."""
    await node.start()
    ttl = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"
    _, token = await node.get("/latest/api/token", READER, ttl, "PUT")
    await node.running("agent").stop()
    await node.running("server").stop()
    await node.start_server()
    await node.start_agent()

    await node.until(LIST, READER, is_reader, f"X-aws-ec2-metadata-token: {token}\r\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_an_agent_is_warm_one_snapshot_after_its_start(
    node: System, number: signal.Signals
) -> None:
    """However it ended, it is given again what the server holds, and STS is not asked."""
    await node.start()
    held = await node.until_served(READER, "reader")
    calls = await node.calls()
    await node.running("agent").stop(number)
    await node.start_agent()

    assert await node.document(READER, "reader") == held
    assert await node.calls() == calls


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_an_agent_moves_to_another_server(node: System, number: signal.Signals) -> None:
    """With all that it holds: nothing is issued twice."""
    async with asyncio.TaskGroup() as tasks:
        for name in ("one", "two"):
            tasks.create_task(node.start_server(name=name), name=f"start {name}")
        tasks.create_task(node.start_sts(), name="start STS")
    agent = await node.start_agent(servers=("one", "two"))
    held = await node.until_served(READER, "reader")
    await node.until_served(WRITER, "team/writer")
    line = await agent.wait_line("following a server")
    first, other = ("one", "two") if str(node.port("one")) in line else ("two", "one")
    await node.running(first).stop(number)
    await node.running(other).wait_line("an agent connected", '"held": 2')

    assert await node.document(READER, "reader") == held
    assert await node.calls() == {"reader": 1, "team/writer": 1}
    node.write("late", pod("late", LATE, "late"))
    await node.until_served(LATE, "late")


async def test_an_outage_of_sts_costs_only_what_is_new(node: System) -> None:
    """What is held is served; a new role is held, then 503, and has its answer afterwards."""
    await node.start()
    held = await node.until_served(READER, "reader")
    await node.weather(outage=1)
    node.write("late", pod("late", LATE, "late"))
    await node.running("server").wait_line("STS gave no session", "late")
    began = time.monotonic()
    status, _ = await node.get(LIST, LATE)

    assert status == 503
    assert time.monotonic() - began >= 0.85  # Held for 0.9 s: STS may be back any moment.
    assert await node.document(READER, "reader") == held
    assert await node.get(LIST, READER) == (200, "reader")
    await node.weather(outage=0)
    await node.until_served(LATE, "late")


async def test_an_agent_without_a_server_holds_whoever_asks(node: System) -> None:
    """It is alive and not ready; it says so, and answers once a server is there."""
    agent = await node.run("agent", "-m", "rolecall_cli", "agent", *node.agent_flags())
    await agent.wait_line("no stream from this server")

    assert (await node.probe("agent", "/healthz"))[0] == 200
    assert (await node.probe("agent", "/readyz"))[0] == 503
    assert (await node.get(LIST, READER))[0] == 503
    await node.start_sts()
    await node.start_server()
    await node.until_served(READER, "reader")
    assert (await node.probe("agent", "/readyz"))[0] == 200


async def test_tokens_can_be_required_of_everybody(node: System) -> None:
    """Also of addresses that no pod is known for: the cluster's rule comes with the snapshot."""
    await node.start("--imdsv2", "required")

    for source in (READER, LATE):
        assert (await node.get(LIST, source))[0] == 401
    ttl = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"
    _, token = await node.get("/latest/api/token", READER, ttl, "PUT")
    await node.until(LIST, READER, is_reader, f"X-aws-ec2-metadata-token: {token}\r\n")


async def test_a_default_role_is_for_pods_that_name_none(node: System) -> None:
    """A short name as in an annotation; a pod that names its own has that."""
    node.write("plain", pod("plain", LATE), pod("empty", "127.7.3.4", ""))
    await node.start("--default-role", "usual")

    await node.until_served(LATE, "usual")
    await node.until_served(READER, "reader")
    assert await node.get(LIST, "127.7.3.4") == (404, "")
