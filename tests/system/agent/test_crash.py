"""The agent's worker is killed again and again, under load: nobody is refused."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fakes.cluster import namespace, pod
from fakes.running import PATIENCE, Running
from fakes.system import LIST, System, system
from rolecall_common import probe

POD = "127.9.0.1"
KILLS = 100
CLIENTS = 4


@dataclass(slots=True)
class Load:
    """Clients that ask without a pause, each time by a connection of its own."""

    endpoint: int
    ended: bool = False
    served: int = 0
    refused: int = 0
    cut: int = 0  # Connected, and the worker was killed before it had answered.
    wrong: list[bytes] = field(default_factory=list)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(CLIENTS):
                tasks.create_task(self._client(), name=f"client {number}")

    async def _client(self) -> None:
        while not self.ended:
            try:
                answer = await self.ask()
            except ConnectionRefusedError:
                self.refused += 1
            except ConnectionResetError:
                self.cut += 1
            else:
                if not answer:
                    self.cut += 1
                elif answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"reader"):
                    self.served += 1
                else:
                    self.wrong.append(answer)

    async def ask(self) -> bytes:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.endpoint, local_addr=(POD, 0)
        )
        head = (
            f"GET {LIST} HTTP/1.1\r\nHost: 127.0.0.1:{self.endpoint}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode())
        try:
            return await reader.read()
        finally:
            writer.close()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[System]:
    async with system(tmp_path) as running:
        running.write("all", namespace(), pod("one", POD, "reader"))
        yield running


@pytest.mark.timeout(600)
async def test_a_hundred_crashes_refuse_nobody(node: System) -> None:
    """Connections that come while no worker lives wait for the next one, which answers them.

    A client that had been accepted loses its connection with the worker: nobody can give it back.
    """
    await node.start(hold="10s")
    await node.until_served(POD, "reader")
    agent, load = node.running("agent"), Load(node.endpoint)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load.run(), name="load")
        for restarts in range(1, KILLS + 1):
            await kill(agent, restarts)
        load.ended = True
    code = await agent.stop()

    assert load.served
    assert load.refused == 0
    assert load.wrong == []
    assert load.cut <= KILLS * CLIENTS
    assert code == 0


async def kill(agent: Running, restarts: int) -> None:
    """Kill the worker, and return once the next one holds what the server has for it."""
    os.kill(agent.worker, signal.SIGKILL)
    await agent.wait_line("takes the place", f'"restarts": {restarts}')
    seen = len(agent.err)
    async with agent.grown:
        await agent.grown.wait_for(
            lambda: any("following a server" in line for line in agent.err[seen - 1 :])
        )


async def test_a_file_that_is_broken_at_a_crash_closes_no_endpoint(node: System) -> None:
    """The next worker cannot begin, says why, and is tried again until the file is whole."""
    await node.start()
    await node.until_served(POD, "reader")
    agent, authority = node.running("agent"), node.root / "ca.pem"
    whole = authority.read_bytes()
    authority.write_text("nothing that vouches for anybody")
    os.kill(agent.worker, signal.SIGKILL)
    line = await agent.wait_line("this worker cannot begin")
    asking = asyncio.create_task(Load(node.endpoint).ask())
    authority.write_bytes(whole)
    answer = await asking
    code = await agent.stop()

    assert "caFile: " in json.loads(line)["reason"]
    assert answer.endswith(b"reader")
    assert code == 0


async def test_a_worker_that_hangs_is_neither_ready_nor_alive(node: System) -> None:
    """Its lock is held, its port is open; what it says is old, and a kubelet's probe sees that."""
    health = node.root / "health"
    await node.start_sts()
    await node.start_server()
    agent = await node.start_agent("--health-file", str(health))
    await node.until_served(POD, "reader")
    await until_said(health, "")
    os.kill(agent.worker, signal.SIGSTOP)
    await until_said(health, "it has not been heard for too long")
    dead = said(health, wants_ready=False)
    os.kill(agent.worker, signal.SIGCONT)
    await until_said(health, "")

    assert dead == "it has not been heard for too long"


async def test_workers_that_died_are_counted_and_told(node: System) -> None:
    """Each crash is without a gap, and nobody would see a hundred of them."""
    health = node.root / "health"
    await node.start_sts()
    await node.start_server()
    agent = await node.start_agent("--health-file", str(health))
    for restarts in (1, 2):
        await kill(agent, restarts)
    await node.until_measured("agent", 'rolecall_agent_worker_deaths_total{cause="killed"} 2.0')
    status, lines = await node.probe("agent", "/readyz")
    await until_said(health, "")

    assert status == 200
    assert "workers that have ended by themselves: 2, the last one with -9" in lines


SHORT_OF_MEMORY = """
import sys
from datetime import timedelta
from pathlib import Path
from rolecall_agent.process import memory
from rolecall_cli.__main__ import main
memory.LEAST_AGE = timedelta(0)
memory.own_cgroup = lambda: Path(sys.argv[-1])
sys.exit(main(sys.argv[1:-1]))
"""


async def test_a_worker_leaves_before_the_kernel_ends_its_supervisor_too(node: System) -> None:
    """It says so, the next one answers at the same sockets, and it is counted as what it is."""
    (node.root / "memory.max").write_text("100")
    (node.root / "memory.stat").write_text("anon 90\n")
    (node.root / "memory.current").write_text("50")
    await node.start_sts()
    await node.start_server()
    words = ("agent", *node.agent_flags(), str(node.root))
    agent = await node.run("agent", "-c", SHORT_OF_MEMORY, *words)
    await agent.wait_line("following a server")
    await node.until_served(POD, "reader")
    (node.root / "memory.current").write_text("90")
    line = await agent.wait_line("memory is short: another worker takes this one's place")
    (node.root / "memory.current").write_text("50")
    await agent.wait_line("takes the place", '"code": 3')
    await node.until_served(POD, "reader")
    _, metrics = await node.probe("agent", "/metrics")
    code = await agent.stop()

    assert '"used": 90' in line
    assert 'rolecall_agent_worker_deaths_total{cause="failed"} 0.0' in metrics
    assert 'rolecall_agent_worker_deaths_total{cause="memory"} 0.0' not in metrics
    assert not any("Traceback" in each for each in agent.err)
    assert code == 0


def said(health: Path, *, wants_ready: bool = True) -> str:
    return probe.problem(str(health), time.monotonic(), wants_ready=wants_ready)


async def until_said(health: Path, reason: str) -> None:
    """Return once a kubelet's probe says that; "" is that all is well."""
    async with asyncio.timeout(PATIENCE):
        while said(health) != reason:  # noqa: ASYNC110 -- others have no event
            await asyncio.sleep(0.05)
