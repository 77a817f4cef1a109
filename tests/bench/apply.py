"""From `kubectl apply` to credentials: what of that is the cluster's time, and what is ours.

An independent watch of the bench says when the cluster has bound a pod and given it its address. A
request from that address is sent at once, as the pod's would be, and its answer is the end.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from statistics import quantiles

from bench.arrivals import STS_SECONDS
from bench.asking import ROLE_LIST, ask
from bench.ground import Ground
from cluster.serving import PERMITS, ROLE, loopback_node
from testcluster.client import Manifest
from testcluster.resources import path_of

_FIRST = 100  # Nodes whose pods can be spoken for go up to 255.
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


@dataclass(frozen=True, slots=True)
class _Place:
    """The node and the namespace of one run, which no other run has."""

    run: int

    @property
    def number(self) -> int:
        return _FIRST + self.run

    @property
    def node(self) -> str:
        return f"node-{self.number}"

    @property
    def space(self) -> str:
        return f"bench-{self.run}"


async def arrivals(ground: Ground, pods: int, run: int) -> list[Arrival]:
    """Apply *pods* Deployments of one pod each, one after another, each with a role of its own."""
    place = _Place(run)
    await _prepare(ground, place)
    found: dict[str, Arrival] = {}
    path = path_of("Pod", place.space)
    # The watch begins here, whenever it is opened: no pod is missed.
    version = (await ground.at.admin.request("GET", path))["metadata"]["resourceVersion"]
    async with (
        ground.server(run=f"-apply-{run}"),
        ground.agent(place.node),
        asyncio.TaskGroup() as tasks,
    ):
        events = ground.at.admin.watch(path, version)
        watching = tasks.create_task(_watch(events, found), name="watch beside the server")
        for number in range(pods):
            await _arrive(ground, place, f"web-{run}-{number}", found)
        watching.cancel()
    return list(found.values())


async def _prepare(ground: Ground, place: _Place) -> None:
    ground.sts.takes(STS_SECONDS)
    admin = ground.at.admin
    await admin.create_namespace(place.space)
    await admin.patch("Namespace", place.space, {"metadata": {"annotations": PERMITS}})
    await admin.create(loopback_node(place.number))
    # A node begins with a taint that says it is not ready, and pods that meet it wait long.
    await admin.until(
        "Node", lambda nodes: all(map(_is_open, nodes.values())),
        fieldSelector=f"metadata.name={place.node}",
    )  # fmt: skip
    await ground.at.write_agent_token(place.node)


def _is_open(node: Manifest) -> bool:
    conditions = node["status"].get("conditions", ())
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not node["spec"].get("taints")


async def _arrive(ground: Ground, place: _Place, name: str, found: dict[str, Arrival]) -> None:
    arrival = found[name] = Arrival(time.perf_counter())
    await ground.at.admin.create(_deployment(name, place))
    try:
        async with asyncio.timeout(_PATIENCE):
            await arrival.addressed.wait()
    except TimeoutError:
        where = "has no address" if arrival.bound else "is not bound to a node"
        raise RuntimeError(f"the pod of {name} {where} after {_PATIENCE:.0f} s") from None
    async with asyncio.timeout(_PATIENCE):
        endpoint, path = ground.at.port(f"{place.node}-endpoint"), f"{ROLE_LIST}{name}"
        answer = await ask(endpoint, path, source=arrival.address)
        while answer.status != 200:
            answer = await ask(endpoint, path, source=arrival.address)
    arrival.answered = answer.at


async def _watch(events: AsyncGenerator[Manifest], found: dict[str, Arrival]) -> None:
    async with contextlib.aclosing(events):
        async for event in events:
            _note(event["object"], found, time.perf_counter())


def _note(pod: Manifest, found: dict[str, Arrival], now: float) -> None:
    arrival = found[pod["metadata"]["labels"]["app"]]
    if not arrival.bound and pod["spec"].get("nodeName"):
        arrival.bound = now
    if not arrival.known and (address := pod["status"].get("podIP")):
        arrival.known, arrival.address = now, address
        arrival.addressed.set()


def _deployment(name: str, place: _Place) -> Manifest:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": place.space},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {ROLE: name}},
                "spec": {
                    "nodeSelector": {"kubernetes.io/hostname": place.node},
                    "containers": [{"name": "web", "image": "web"}],
                },
            },
        },
    }
