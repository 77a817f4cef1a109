"""From `kubectl apply` to credentials: what of that is the cluster's time, and what is ours.

An independent watch of the bench says when the cluster has bound a pod and given it its address. A
request from that address is sent at once, as the pod's would be, and its answer is the end.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import quantiles

from bench.arrivals import STS_SECONDS
from bench.asking import ROLE_LIST, ask
from bench.ground import Ground
from cluster.serving import PERMITS, ROLE, loopback_node
from testcluster.client import Manifest

_NUMBER = 101
NODE = f"node-{_NUMBER}"
_SPACE = "bench"
_PATIENCE = 30.0


@dataclass(slots=True)
class Arrival:
    """When what happened to one pod, on the clock of `time.perf_counter`."""

    created: float
    bound: float = 0.0
    known: float = 0.0  # Its address is.
    address: str = ""
    answered: float = 0.0
    addressed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def total(self) -> float:
        return self.answered - self.created

    @property
    def ours(self) -> float:
        """What it waited for beyond cluster and STS, which can be asked once the pod is bound."""
        return self.answered - max(self.known, self.bound + STS_SECONDS)


@dataclass(frozen=True, slots=True)
class Percentiles:
    p50: float
    p99: float

    @classmethod
    def of(cls, values: Iterator[float]) -> "Percentiles":
        cuts = quantiles(values, n=100, method="inclusive")
        return cls(cuts[49], cuts[98])


async def arrivals(ground: Ground, pods: int) -> list[Arrival]:
    """Apply *pods* Deployments of one pod each, one after another, each with a role of its own."""
    admin = ground.at.admin
    ground.sts.takes(STS_SECONDS)
    await admin.create_namespace(_SPACE)
    await admin.patch("Namespace", _SPACE, {"metadata": {"annotations": PERMITS}})
    await admin.create(loopback_node(_NUMBER))
    await ground.at.write_agent_token(NODE)
    found: dict[str, Arrival] = {}
    async with ground.server(), ground.agent(NODE), asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(_watch(ground, found), name="watch beside the server")
        for number in range(pods):
            await _arrive(ground, f"web-{number}", found)
        watching.cancel()
    return list(found.values())


async def _arrive(ground: Ground, name: str, found: dict[str, Arrival]) -> None:
    arrival = found[name] = Arrival(time.perf_counter())
    await ground.at.admin.create(_deployment(name))
    try:
        async with asyncio.timeout(_PATIENCE):
            await arrival.addressed.wait()
    except TimeoutError:
        where = "has no address" if arrival.bound else "is not bound to a node"
        raise RuntimeError(f"the pod of {name} {where} after {_PATIENCE:.0f} s") from None
    async with asyncio.timeout(_PATIENCE):
        door, path = ground.at.port(f"{NODE}-door"), f"{ROLE_LIST}{name}"
        answer = await ask(door, path, source=arrival.address)
        while answer.status != 200:
            answer = await ask(door, path, source=arrival.address)
    arrival.answered = answer.at


async def _watch(ground: Ground, found: dict[str, Arrival]) -> None:
    path = f"/api/v1/namespaces/{_SPACE}/pods"
    version = (await ground.at.admin.request("GET", path))["metadata"]["resourceVersion"]
    async with contextlib.aclosing(ground.at.admin.watch(path, version)) as events:
        async for event in events:
            _note(event["object"], found, time.perf_counter())


def _note(pod: Manifest, found: dict[str, Arrival], now: float) -> None:
    arrival = found[pod["metadata"]["labels"]["app"]]
    if not arrival.bound and pod["spec"].get("nodeName"):
        arrival.bound = now
    if not arrival.known and (address := pod["status"].get("podIP")):
        arrival.known, arrival.address = now, address
        arrival.addressed.set()


def _deployment(name: str) -> Manifest:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": _SPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {ROLE: name}},
                "spec": {
                    "nodeSelector": {"kubernetes.io/hostname": NODE},
                    "containers": [{"name": "web", "image": "web"}],
                },
            },
        },
    }
