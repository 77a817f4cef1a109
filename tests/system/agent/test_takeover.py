"""Two agents on one node for a moment, as real processes: nobody meets a cold one."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

import pytest

from fakes.cluster import namespace, pod
from fakes.running import PATIENCE, Running
from fakes.system import LIST, System, ask, system
from rolecall_common import heartbeat_file, probe
from rolecall_common.heartbeat_file import Condition, Heartbeat

POD, LATE = "127.9.0.1", "127.9.0.2"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[System]:
    async with system(tmp_path) as running:
        running.write("all", namespace(), pod("one", POD, "reader"))
        yield running


async def agent(node: System, name: str, *flags: str) -> Running:
    """Start an agent in the pod of that *name*, whose directory may be there already."""
    (node.root / name).mkdir(exist_ok=True)
    files = ("--endpoint-file", str(node.root / name / "endpoint"))
    health = ("--health-file", str(node.root / name / "health"))
    return await node.start_agent(*files, *health, *flags)


def told(node: System, name: str) -> int:
    """Return the port that the agent in that pod has told its warden."""
    port: int = json.loads((node.root / name / "endpoint").read_text())["port"]
    return port


def is_ready(node: System, name: str) -> bool:
    """Say what a kubelet's probe says of the agent in that pod."""
    path = str(node.root / name / "health")
    return not probe.problem(path, time.monotonic(), wants_ready=True)


async def until_ready(node: System, name: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while not is_ready(node, name):  # noqa: ASYNC110 -- others have no event
            await asyncio.sleep(0.02)


async def test_a_second_agent_warms_up_beside_the_first(node: System) -> None:
    """It has an endpoint of its own, says so once it is warm, and takes the probes over at last."""
    await node.start()
    await node.until_served(POD, "reader")
    await node.running("agent").stop()
    old = await agent(node, "old")
    await old.wait_line("warm")
    new = await agent(node, "new")
    await new.wait_line("another agent has the port of the probes")
    await new.wait_line("warm")
    ports = told(node, "old"), told(node, "new")
    answers = [await ask(port, LIST, POD) for port in ports]
    await until_ready(node, "new")
    code = await old.stop()
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                probed = await node.probe("agent", "/readyz")
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
            else:
                break

    assert ports == (node.endpoint, node.endpoint + 1)
    assert answers == [(200, "reader")] * 2
    assert code == 0
    assert probed == (200, "ready\n")
    assert await ask(ports[1], LIST, POD) == (200, "reader")


async def test_an_agent_is_not_warm_before_it_has_what_pods_wait_for(node: System) -> None:
    """A snapshot whose credentials are still to come is no reason to lead pods here."""
    await node.start_sts()
    await node.weather(outage=1)
    await node.start_server()
    new = await agent(node, "new")
    await node.running("server").wait_line("STS gave no session", "reader")
    early = (node.root / "new" / "endpoint").exists()
    await node.weather(outage=0)
    await new.wait_line("warm")

    assert not early
    assert await ask(told(node, "new"), LIST, POD) == (200, "reader")


async def test_an_agent_that_starts_again_keeps_its_port(node: System) -> None:
    """Where pods were led before it ended, they are led still."""
    await node.start_sts()
    await node.start_server()
    with socket.create_server(("127.0.0.1", node.endpoint)):
        first = await agent(node, "pod")
        await first.wait_line("warm")
        port = told(node, "pod")
        await first.stop(signal.SIGKILL)
    second = await agent(node, "pod")
    await second.wait_line("pods are led here already")

    assert port == node.endpoint + 1
    assert told(node, "pod") == port
    assert await ask(port, LIST, POD) == (200, "reader")


async def test_what_is_held_is_finished_before_the_end(node: System) -> None:
    """An agent that is told to stop still hears its server: who waits there is answered."""
    await node.start_sts()
    await node.start_server()
    old = await agent(node, "old", "--hold", "5s")
    await old.wait_line("warm")
    waiting = asyncio.create_task(ask(told(node, "old"), LIST, LATE))
    await node.until_held(1)
    stopping = asyncio.create_task(old.stop())
    await asyncio.sleep(0)
    node.write("late", pod("late", LATE, "reader"))

    assert await waiting == (200, "reader")
    assert await stopping == 0


async def test_a_crash_keeps_the_hand_over(node: System) -> None:
    """The next worker is of the same endpoint, and becomes ready again."""
    await node.start_sts()
    await node.start_server()
    running = await agent(node, "pod")
    await running.wait_line("warm")
    await until_ready(node, "pod")
    port = told(node, "pod")
    os.kill(running.worker, signal.SIGKILL)

    assert await ask(port, LIST, POD) == (200, "reader")
    await running.wait_line("this worker takes the place of one that ended by itself")
    await until_ready(node, "pod")
    assert told(node, "pod") == port
    assert await running.stop() == 0


async def test_the_container_endpoint_is_shared(node: System) -> None:
    """Both agents answer at its address, and it never closes while one takes the other's place."""
    await node.start_sts()
    await node.start_server()
    shared = ("--container-listen", f"127.0.0.1:{node.port('container')}")
    with warden(node, "old") as beat:
        beat(Condition.IN_PLACE)
        old = await agent(node, "old", *shared, "--warden-file", str(node.root / "old" / "warden"))
        await old.wait_line("warm")
        ended = asyncio.Event()
        asking = asyncio.create_task(keep_asking(node.port("container"), ended))
        new = await agent(node, "new", *shared)
        await new.wait_line("another process has the container endpoint's port")
        early = is_ready(node, "new")
        beat(Condition.SUPERSEDED)
        await until_ready(node, "new")
        code = await old.stop()
    ended.set()
    outcomes = await asking

    assert not early
    assert code == 0
    assert set(outcomes) <= {"404", "ConnectionResetError"}
    # In the instant of a close the kernel has nobody to give a connection to: docs/upgrade.md.
    assert outcomes["ConnectionResetError"] <= 2
    assert outcomes["404"] > 10


@contextlib.contextmanager
def warden(node: System, name: str) -> Iterator[Callable[[Condition], None]]:
    """Be the warden of the pod of that *name*: give what says how it stands with the rules."""
    (node.root / name).mkdir()
    with heartbeat_file.hold(node.root / name / "warden") as file:
        yield lambda condition: file.write(Heartbeat(time.monotonic(), 3600.0, condition))


async def test_a_crash_closes_no_endpoint_while_the_servers_are_away(node: System) -> None:
    """Pods are led to this agent, warm or not: who asks is told to ask again, at each endpoint."""
    await node.start_sts()
    await node.start_server()
    container = node.port("container")
    running = await agent(node, "pod", "--container-listen", f"127.0.0.1:{container}")
    await running.wait_line("warm")
    await node.running("server").stop()
    os.kill(running.worker, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        answers = [await ask(node.endpoint, LIST, POD), await ask(container, "/nothing", POD)]

    assert answers[0] == (503, "")
    assert answers[1][0] == 404


async def keep_asking(port: int, ended: asyncio.Event) -> Counter[str]:
    """Ask again and again for what is not there; count what comes of it."""
    outcomes: Counter[str] = Counter()
    while not ended.is_set():
        try:
            status, _ = await ask(port, "/nothing", POD)
        except OSError as error:
            outcomes[type(error).__name__] += 1
        else:
            outcomes[str(status)] += 1
    return outcomes


async def test_a_directory_that_cannot_be_written_is_named(node: System) -> None:
    """Exit code 2, at the start and not when the agent is warm."""
    flags = ("agent", *node.agent_flags(), "--endpoint-file", "/nonexistent/endpoint")
    running = await node.run("refused", "-m", "rolecall_cli", *flags)

    assert await running.ended() == 2
    assert any(
        "endpointFile: /nonexistent/endpoint.tried: No such file" in line for line in running.err
    )
