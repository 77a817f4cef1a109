"""An agent that is told to end: pods that have nobody else are answered to their last moment."""

import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from fakes.cluster import namespace, pod
from fakes.running import Running
from fakes.system import LIST, System, system

POD = "127.9.0.1"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[System]:
    async with system(tmp_path) as running:
        running.write("rules", namespace())
        running.write("pods", pod("one", POD, "reader"))
        await running.start_sts()
        await running.start_server()
        await running.start_agent("--grace-period", "1h")
        await running.until_served(POD, "reader")
        yield running


async def leaving(node: System) -> Running:
    """Tell the agent to end, and return it once it goes on for its pods."""
    agent = node.running("agent")
    agent.process.send_signal(signal.SIGTERM)
    await agent.wait_line("told to end", "answered on")
    return agent


async def test_pods_are_answered_until_the_last_of_them_is_gone(node: System) -> None:
    """The stream goes on after SIGTERM, and tells of that; then the agent ends as it was told."""
    agent = await leaving(node)
    answers = [await node.get(LIST, POD) for _ in range(3)]
    ready, why = await node.probe("agent", "/readyz")
    (node.manifests / "pods.yaml").unlink()

    assert answers == [(200, "reader")] * 3
    assert ready == 503
    assert "told to end" in why
    assert await agent.ended() == 0


async def test_a_second_signal_ends_it_at_once(node: System) -> None:
    """Whoever says it twice is in a hurry. The supervisor passes it on like the first."""
    agent = await leaving(node)

    assert await agent.stop() == 0
