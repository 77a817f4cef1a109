"""What pods on real nodes see while parts of Rolecall end, change and start, second by second.

With ROLECALL_RECORD=1 what they saw is written to docs/real-nodes.json, from which
`python docs/timeline.py` draws the picture of docs/real-nodes.md.
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cluster.grounds import SPACE, Grounds
from cluster.watching import GIVEN, Phase, Watch, stolen, watching
from testcluster.client import Manifest

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

RECORD = Path(__file__).parents[2] / "docs" / "real-nodes.json"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watch(grounds: Grounds) -> AsyncGenerator[Watch]:
    """Have pods on each node that ask all the time."""
    async with watching(grounds) as watch:
        await watch.until_steady()
        yield watch
    if os.environ.get("ROLECALL_RECORD") == "1":
        RECORD.write_text(json.dumps(_record(watch), separators=(",", ":")) + "\n")


def _record(watch: Watch) -> dict[str, Any]:
    """Return what was seen in each phase: for each pod moments, seconds that it took, outcomes."""
    return {
        "pods": dict(watch.pods),
        "phases": [
            {
                "label": phase.label,
                "seconds": round(phase.ended - phase.began, 2),
                "pods": {
                    pod: [
                        [round(each.at - phase.began, 2), round(each.took, 3), each.what]
                        for each in phase.seen
                        if each.pod == pod
                    ]
                    for pod in watch.pods
                },
            }
            for phase in watch.phases
        ],
    }


def pods_on(watch: Watch, node: str) -> list[str]:
    return [pod for pod, where in watch.pods.items() if where == node]


def assert_nothing_missed(phase: Phase, pods: list[str]) -> None:
    for pod in pods:
        assert set(phase.what(pod)) == {GIVEN}, (pod, phase.what(pod))


async def agent_of(grounds: Grounds, node: str) -> Manifest:
    found = await grounds.admin.find(
        "Pod",
        SPACE,
        labelSelector="app.kubernetes.io/component=agent",
        fieldSelector=f"spec.nodeName={node}",
    )
    (pod,) = [each for each in found if "deletionTimestamp" not in each["metadata"]]
    return pod


async def process_of(grounds: Grounds, pod: Manifest, container: str) -> int:
    """Return the first process of a container, by its number on the first node."""
    (status,) = [each for each in pod["status"]["containerStatuses"] if each["name"] == container]
    name = status["containerID"].removeprefix("containerd://")
    listed = await asyncio.to_thread(
        grounds.nodes[0].run, "ctr", "--namespace=k8s.io", "tasks", "list"
    )
    (line,) = [line for line in listed.splitlines() if line.startswith(name)]
    return int(line.split()[1])


async def kill(grounds: Grounds, pid: int) -> None:
    """Kill a process of the first node at once."""
    await asyncio.to_thread(grounds.nodes[0].run, "kill", "-KILL", str(pid))


async def rolled_out(grounds: Grounds, what: str) -> None:
    await grounds.cluster.kubectl(
        "rollout", "status", what, f"--namespace={SPACE}", "--timeout=300s"
    )


async def test_servers_are_replaced_unnoticed(grounds: Grounds, watch: Watch) -> None:
    """Agents go over to the new ones, and answer from memory meanwhile."""
    async with watch.phase("servers replaced by helm upgrade") as phase:
        await grounds.install(server={"podAnnotations": {"rolled": "once"}})
        await rolled_out(grounds, "deployment/rolecall-server")

    assert_nothing_missed(phase, list(watch.pods))


async def test_an_agents_worker_that_is_killed_refuses_nobody(
    grounds: Grounds, watch: Watch
) -> None:
    """Its parent holds the endpoint, where requests wait for the next worker.

    It may tell them to come again. What a pod asked the killed one in that moment is cut.
    """
    agent = await agent_of(grounds, "real-1")
    parent = await process_of(grounds, agent, "agent")
    children = f"/proc/{parent}/task/{parent}/children"
    worker = int(await asyncio.to_thread(grounds.nodes[0].run, "cat", children))
    async with watch.phase("an agent's worker killed") as phase:
        await kill(grounds, worker)

    assert_nothing_missed(phase, pods_on(watch, "real-2"))
    for pod in pods_on(watch, "real-1"):
        assert set(phase.what(pod)) <= {GIVEN, "503", "broken"}, (pod, phase.what(pod))
        assert phase.what(pod)["broken"] <= 1


async def test_an_agent_that_is_killed_is_away_for_moments(grounds: Grounds, watch: Watch) -> None:
    """On its own node alone; until it is back pods are refused, and get nothing else."""
    agent = await agent_of(grounds, "real-1")
    async with watch.phase("an agent's container killed") as phase:
        await kill(grounds, await process_of(grounds, agent, "agent"))

    assert_nothing_missed(phase, pods_on(watch, "real-2"))
    for pod in pods_on(watch, "real-1"):
        allowed = {GIVEN, "refused", "broken", "timeout", "503"}
        assert set(phase.what(pod)) <= allowed, (pod, phase.what(pod))


async def test_agents_are_replaced_under_load(grounds: Grounds, watch: Watch) -> None:
    """The old one of a node answers until the new one beside it is warm: nobody is refused."""
    async with watch.phase("agents replaced by helm upgrade") as phase:
        await grounds.install(agent={"podAnnotations": {"rolled": "once"}})
        await rolled_out(grounds, "daemonset/rolecall-agent")

    assert_nothing_missed(phase, list(watch.pods))


async def test_a_node_comes_back_with_its_pods(grounds: Grounds, watch: Watch) -> None:
    """The other node does not notice, and each phase ends when all pods have their roles again."""
    before = len(grounds.imds.requests)
    async with watch.phase("node real-1 loses its power and gets it back") as phase:
        await asyncio.to_thread(grounds.cluster.control_plane.reboot, 1)
    watch.booting = (before, len(grounds.imds.requests))

    assert_nothing_missed(phase, pods_on(watch, "real-2"))


async def test_nobody_ever_got_what_is_the_nodes(grounds: Grounds, watch: Watch) -> None:
    """Every second each pod asked for it: whatever was broken, nothing came."""
    assert len([each for each in watch.seen if each.stolen]) > 100
    assert list(stolen(watch.seen)) == []
    # The guards hold from the warden's first pass of a boot on. A pod that its kubelet starts
    # sooner may reach the service until then: whoever cannot have that taints nodes at start.
    requests, (booting, booted) = grounds.imds.requests, watch.booting
    heads = [*requests[watch.asked_before : booting], *requests[booted:]]
    asked = {head.split()[1] for head in heads}
    assert not [path for path in asked if "user-data" in path or "credentials" in path]
