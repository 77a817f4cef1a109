"""Whoever reads stdout or stderr stands still: nobody is kept waiting for that."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from fakes.cluster import namespace, pod
from fakes.full_pipe import FullPipe, full_pipe
from fakes.running import PATIENCE, Running
from fakes.system import System, system

POD, OTHER = "127.9.0.1", "127.9.0.2"


@pytest.fixture
def full() -> Iterator[FullPipe]:
    with full_pipe() as pipe:
        yield pipe


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[System]:
    async with system(tmp_path) as running:
        running.write("all", namespace(), pod("one", POD, "reader"), pod("two", OTHER, "writer"))
        await running.start_sts()
        yield running


async def until_ready(node: System, name: str) -> None:
    """Ask the probe, for what is said in the log is not to be read."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(OSError):
                status, _ = await node.probe(name, "/readyz")
                if status == 200:
                    return
            await asyncio.sleep(0.02)


async def start_agent(node: System, full: FullPipe, *streams: str) -> Running:
    """Start an agent that writes *streams* into the full pipe."""
    node.streams = dict.fromkeys(streams, full.writer)
    words = ("agent", *node.agent_flags(), "--hold", "10s")
    agent = await node.run("agent", "-m", "rolecall_cli", *words)
    await until_ready(node, "agent")
    return agent


@pytest.mark.parametrize("stream", ["out", "err"])
async def test_an_agent_whose_output_nobody_reads_answers_pods(
    node: System, full: FullPipe, stream: str
) -> None:
    """What it says meanwhile is there, whole and in order, once somebody reads again."""
    await node.start_server()
    agent = await start_agent(node, full, stream)
    async with asyncio.timeout(PATIENCE):
        await node.until_served(POD, "reader")
        await node.until_served(OTHER, "writer")
    reading = asyncio.create_task(asyncio.to_thread(full.read), name="read")
    code = await agent.stop()
    said = await reading

    assert code == 0
    if stream == "out":
        assert [record["role"].rpartition("/")[2] for record in said] == ["reader", "writer"]
    else:
        messages = ["answering pods", "following a server"]
        assert [line["message"] for line in said if line["message"] in messages] == messages


async def test_an_agent_whose_output_nobody_reads_ends_when_it_is_told(
    node: System, full: FullPipe
) -> None:
    """Nobody kills it because of lines that it cannot get rid of."""
    await node.start_server()
    agent = await start_agent(node, full, "out", "err")
    await node.until_served(POD, "reader")

    assert await agent.stop() == 0


async def test_a_server_whose_output_nobody_reads_serves_agents(
    node: System, full: FullPipe
) -> None:
    """It has a line and a record of each pod that it denies, and a session is not late for that."""
    denied = [pod(f"denied-{n}", f"127.9.1.{n}", "admin", "other") for n in range(1, 201)]
    node.write("denied", namespace("other", permitted="nothing"), *denied)
    node.streams = {"out": full.writer, "err": full.writer}
    words = ("server", *node.server_flags())
    server = await node.run("server", "-m", "rolecall_cli", *words, **node.own.environment)
    await until_ready(node, "server")
    node.streams = {}
    await node.start_agent("--hold", "10s")
    async with asyncio.timeout(PATIENCE):
        await node.until_served(POD, "reader")
    reading = asyncio.create_task(asyncio.to_thread(full.read), name="read")
    code = await server.stop()
    said = await reading

    assert code == 0
    assert sum(line.get("event") == "denied" for line in said) == len(denied)
    assert sum(line.get("message") == "a pod is denied its role" for line in said) == len(denied)
