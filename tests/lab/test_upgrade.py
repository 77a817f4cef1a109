"""Agent and warden are replaced again and again, under load, by real rules: nobody notices."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab.rig import Rig, rig
from rolecall_cli.lab import LabError
from rolecall_common import endpoint_file, heartbeat_file

PATIENCE = 60
# A hundred times the rules change hands, here in two ways. TEST_UPGRADES=100 has all of them be
# whole upgrades, which takes some minutes.
UPGRADES = int(os.environ.get("TEST_UPGRADES", "20"))
MOVES = max(10, 100 - UPGRADES)
POD, ADDRESS, ROLE = "app", "10.77.1.2", "reader"
MANIFEST = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, annotations: {iam.amazonaws.com/permitted: ".*"}}
---
apiVersion: v1
kind: Pod
metadata: {name: app, namespace: shop, annotations: {iam.amazonaws.com/role: reader}}
"""
# Asks without a pause, several at once; each connection serves for three requests, so that many
# are open while the rules change. It ends with its input, and says what became of the requests.
LOAD = """
import collections, http.client, json, sys, threading, time
PATH = "/latest/meta-data/iam/security-credentials/"
outcomes, waits, stop = collections.Counter(), [], threading.Event()
def begun_again():
    told = [each.split() for each in open("/proc/net/netstat")]
    names, counts = [each for each in told if each[0] == "TcpExt:"]
    return int(counts[names.index("TCPSynRetrans")])
def request(endpoint):
    began = time.monotonic()
    endpoint.request("GET", PATH)
    answer = endpoint.getresponse()
    outcome = f"{answer.status} {answer.read().decode()}"
    waits.append(time.monotonic() - began)
    return outcome
def client():
    while not stop.is_set():
        endpoint = http.client.HTTPConnection("169.254.169.254", 80, timeout=20)
        try:
            for _ in range(3):
                outcomes[request(endpoint)] += 1
                time.sleep(0.01)
        except (OSError, http.client.HTTPException) as error:
            outcomes[type(error).__name__] += 1
        finally:
            endpoint.close()
before = begun_again()
clients = [threading.Thread(target=client) for _ in range(4)]
for each in clients: each.start()
print("ready", flush=True)
sys.stdin.read()
stop.set()
for each in clients: each.join()
print(json.dumps({"outcomes": outcomes, "longest": max(waits), "again": begun_again() - before}))
"""


@dataclass(slots=True)
class AgentPod:
    """A pod of the DaemonSet: agent, warden, and the directory that they share."""

    root: Path
    processes: dict[str, Process] = field(default_factory=dict)

    def log(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text()

    @property
    def is_ready(self) -> bool:
        """Whether a kubelet would say so; the warden's word is the agent's as well."""
        return all(heartbeat_file.read(self.root / name).ok for name in ("health", "warden"))

    async def until_ready(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not self.is_ready:
                for name, process in self.processes.items():
                    assert process.returncode is None, self.log(name)
                await asyncio.sleep(0.02)

    async def lead(self, port: int) -> None:
        """Say that the endpoint is at *port*, and wait until the rules lead there."""
        before = self.log("warden").count("pods are to be led")
        is_there = endpoint_file.read(self.root / "endpoint") == port
        endpoint_file.write(self.root / "endpoint", port)
        async with asyncio.timeout(PATIENCE):
            while not is_there and self.log("warden").count("pods are to be led") == before:  # noqa: ASYNC110 -- others have no event
                await asyncio.sleep(0.02)
            await self.until_ready()

    async def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it as a kubelet does: both containers are told at once."""
        for process in self.processes.values():
            if process.returncode is None:
                process.send_signal(how)
        async with asyncio.timeout(PATIENCE):
            for process in self.processes.values():
                await process.wait()


@dataclass(slots=True)
class DaemonSet:
    """The agent's pods on one node."""

    node: Rig
    root: Path
    exits: AsyncExitStack
    made: int = 0
    check_period: str = "10s"

    async def start(self) -> AgentPod:
        """Start a pod beside those that are there."""
        self.made += 1
        pod = AgentPod(self.root / f"pod-{self.made}")
        pod.root.mkdir()
        endpoint = f"--endpoint-file={pod.root / 'endpoint'}"
        files = (f"--audit-file={pod.root / 'audit'}", f"--health-file={pod.root / 'health'}")
        await self._run(pod, "agent", endpoint, *files)
        files = (endpoint, f"--health-file={pod.root / 'warden'}")
        await self._run(pod, "warden", *files, f"--check-period={self.check_period}")
        self.exits.push_async_callback(pod.end)
        return pod

    async def _run(self, pod: AgentPod, name: str, *flags: str) -> None:
        layout = self.node.stage.layout
        config = f"--config={layout.config(name)}"
        with (pod.root / f"{name}.log").open("wb") as log:
            pod.processes[name] = await asyncio.create_subprocess_exec(
                *self.node.node.command(sys.executable, "-m", "rolecall_cli", name, config, *flags),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
            )


@asynccontextmanager
async def load(node: Rig) -> AsyncGenerator[dict[str, Any]]:
    """Ask from the pod while the block runs; what came of it is given when it has ended."""
    said: dict[str, Any] = {}
    process = await asyncio.create_subprocess_exec(
        *node.node.command(sys.executable, "-I", "-S", "-c", LOAD, pod=POD), stdin=PIPE, stdout=PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield said
    finally:
        answer, _ = await process.communicate(b"")
    said.update(json.loads(answer))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[Rig]:
    try:
        async with rig(tmp_path) as opened:
            await opened.apply("app", MANIFEST)
            await opened.until(POD, ROLE)
            yield opened
    except LabError as error:
        pytest.skip(f"needs the lab: {error}")


@pytest.fixture
async def agents(node: Rig, tmp_path: Path) -> AsyncGenerator[DaemonSet]:
    async with AsyncExitStack() as exits:
        yield DaemonSet(node, tmp_path, exits)


def answered(said: Mapping[str, Any]) -> None:
    """Hold what clients saw against the promise: nobody refused, nobody cut, nobody cold.

    No connection had to be begun a second time: the rules led each first packet to an endpoint.
    The longest wait is for docs/upgrade.md to tell: here the machine may be busy with other things.
    """
    assert set(said["outcomes"]) == {f"200 {ROLE}"}, said
    assert said["again"] == 0, said


@pytest.mark.timeout(60 + 12 * UPGRADES)
async def test_upgrades_are_not_noticed(node: Rig, agents: DaemonSet) -> None:
    """The new one warms up beside the old one; only then do its rules lead pods to it."""
    async with load(node) as said, asyncio.TaskGroup() as ends:
        old: AgentPod | None = None
        for number in range(1, UPGRADES + 1):
            new = await agents.start()
            await new.until_ready()
            if old is None:  # The installation that was there is one without a takeover.
                for name in ("agent", "warden"):
                    ends.create_task(node.stage.stop(name), name=f"end the first {name}")
            else:
                ends.create_task(old.end(), name=f"end agent {number - 1}")
            old = new

    answered(said)
    assert said["outcomes"][f"200 {ROLE}"] > UPGRADES


@pytest.mark.timeout(60 + 6 * MOVES)
async def test_a_redirect_that_moves_is_not_noticed(node: Rig, agents: DaemonSet) -> None:
    """The one step in which an upgrade could be seen: from one warm agent to the other and back."""
    pods = []
    for _ in range(2):
        pods.append(await agents.start())
        await pods[-1].until_ready()
    ports = [endpoint_file.read(pod.root / "endpoint") for pod in pods]
    async with load(node) as said:
        for move in range(MOVES):
            port = ports[move % 2]
            assert port is not None
            await pods[-1].lead(port)

    answered(said)
    assert len(set(ports)) == 2
    assert said["outcomes"][f"200 {ROLE}"] > MOVES


async def test_after_a_rollback_the_older_pod_serves_again(node: Rig, agents: DaemonSet) -> None:
    """The new pod was warm, had the rules, and is gone at once; nobody has told its warden."""
    agents.check_period = "1s"
    old = await agents.start()
    await old.until_ready()
    new = await agents.start()
    await new.until_ready()
    ports = {endpoint_file.read(pod.root / "endpoint") for pod in (old, new)}
    await new.end(signal.SIGKILL)
    await old.until_ready()
    await node.until(POD, ROLE)

    assert len(ports) == 2
    assert "the warden that had the rules is gone" in old.log("warden")
