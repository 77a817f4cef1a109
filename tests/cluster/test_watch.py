"""The watch on real API servers: what the fake of tests/fakes/kube.py was held against."""

import asyncio
import contextlib
import json
import random
import secrets
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp
import pytest

from rolecall_common.clock import SystemClock
from rolecall_server.kube.access import Access
from rolecall_server.kube.informer.reflector import Reflector
from rolecall_server.kube.informer.resources import pods
from rolecall_server.kube.transport import Transport
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.pods import Pod
from rolecall_server.model.source import Change, PodChanged, PodGone, PodsListed, WatchState
from testcluster.client import MERGE, PATIENCE, Client, Manifest
from testcluster.cluster import Cluster
from testcluster.resources import path_of

pytestmark = pytest.mark.every_kubernetes

KIND = pods(AnnotationKeys())
_RBAC = "rbac.authorization.k8s.io"
Nest = Callable[[str, int], Awaitable[None]]


@dataclass
class Watch:
    """What a reflector tells of the pods of one namespace."""

    space: str
    reflector: Reflector[Pod]
    names: dict[str, str] = field(default_factory=dict)  # By uid.
    told: list[tuple[str, str]] = field(default_factory=list)
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def follow(self) -> None:
        async with contextlib.aclosing(self.reflector.changes()) as changes:
            async for change in changes:
                async with self.grown:
                    self._note(change)
                    self.grown.notify_all()

    def _note(self, change: Change) -> None:
        match change:
            case PodsListed(listed):
                here = [pod for pod in listed if pod.namespace == self.space]
                self.names |= {pod.uid: pod.name for pod in here}
                self.told.append(("listed", " ".join(sorted(pod.name for pod in here))))
            case PodChanged(pod) if pod.namespace == self.space:
                self.names[pod.uid] = pod.name
                self.told.append(("changed", pod.name))
            case PodGone(uid) if uid in self.names:
                self.told.append(("gone", self.names[uid]))
            case WatchState(fresh):
                self.told.append(("fresh", str(fresh)))

    async def until(self, *what: str) -> None:
        async with asyncio.timeout(30), self.grown:
            await self.grown.wait_for(lambda: what in self.told)


@contextlib.asynccontextmanager
async def watching(api: Transport, space: str) -> AsyncGenerator[Watch]:
    dice = random.Random(5)  # noqa: S311 - only jitter
    watch = Watch(space, Reflector(KIND, api, SystemClock(), dice))
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(watch.follow(), name="follow")
        yield watch
        following.cancel()


@pytest.fixture
async def api(bare_cluster: Cluster) -> AsyncGenerator[Transport]:
    async with Transport(Access(bare_cluster.kubeconfig)) as transport:
        yield transport


@pytest.fixture
async def owner(bare_cluster: Cluster) -> AsyncGenerator[Client]:
    async with bare_cluster.admin() as client:
        yield client


@pytest.fixture
async def space(owner: Client) -> str:
    name = f"watch-{secrets.token_hex(4)}"
    await owner.create_namespace(name)
    return name


def pod(space: str, name: str, value: str = "") -> Manifest:
    environment = [{"name": "VALUE", "value": value}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space},
        "spec": {
            "nodeName": "node-a",
            "containers": [{"name": "main", "image": "main", "env": environment}],
        },
    }


async def test_both_ways_to_list_tell_the_same(
    api: Transport, owner: Client, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a watch, and by pages that are smaller than the list."""
    for number in range(7):
        await owner.create(pod(space, f"pod-{number}"))
    monkeypatch.setattr("rolecall_server.kube.informer.reflector._PAGE", "3")
    everything = " ".join(f"pod-{number}" for number in range(7))
    for streams in (True, False):
        async with watching(api, space) as watch:
            watch.reflector._streams = streams  # noqa: SLF001 - as after a refusal
            await watch.until("listed", everything)

        assert watch.reflector.statistics.listings == {"stream" if streams else "pages": 1}


async def test_changes_come_as_they_happen(api: Transport, owner: Client, space: str) -> None:
    """A pod that is made, annotated, finished; another that is deleted."""
    async with watching(api, space) as watch:
        await watch.until("fresh", "True")
        await owner.create(pod(space, "web"))
        await owner.create(pod(space, "job"))
        await watch.until("changed", "job")
        await owner.patch(
            "Pod", "job", {"status": {"phase": "Succeeded"}}, space, subresource="status"
        )
        await watch.until("gone", "job")
        await owner.delete("Pod", "web", space, grace=0)
        await watch.until("gone", "web")


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # By the test's client.
async def test_a_pod_of_a_megabyte(api: Transport, owner: Client, space: str) -> None:
    """As large as etcd takes: in a listing, and as one line of a watch."""
    await owner.create(pod(space, "heavy", "x" * 1_000_000))
    async with watching(api, space) as watch:
        await watch.until("listed", "heavy")
        await owner.create(pod(space, "heavier", "x" * 1_200_000))
        await watch.until("changed", "heavier")


@pytest.fixture
async def nest(bare_cluster: Cluster, owner: Client, space: str) -> AsyncGenerator[Nest]:
    """Give what nests a field of a pod, as a tenant who may change pods and nothing else."""
    await let_patch(owner, space)
    token = await owner.token("default", space, "https://kubernetes.default.svc")
    tls = ssl.create_default_context(cafile=str(bare_cluster.bundle))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": MERGE}
    entry = {"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    body = json.dumps({"metadata": {"managedFields": [{**entry, "fieldsV1": "DEEP"}]}})

    async def nest(name: str, levels: int) -> None:
        deep = body.replace('"DEEP"', '{"f:a":' * levels + "{}" + "}" * levels)
        answer = await session.patch(path_of("Pod", space, name), data=deep)
        async with asyncio.timeout(PATIENCE):
            while answer.status == HTTPStatus.FORBIDDEN:  # It has not heard of the right yet.
                answer = await session.patch(path_of("Pod", space, name), data=deep)
        # No client here could read that.
        assert (await answer.text()).count('"f:a"') == levels

    connector = aiohttp.TCPConnector(ssl=tls)
    async with aiohttp.ClientSession(
        bare_cluster.url, connector=connector, headers=headers
    ) as session:
        yield nest


async def let_patch(owner: Client, space: str) -> None:
    """Let the namespace's own account change pods."""
    about = {"apiVersion": f"{_RBAC}/v1", "metadata": {"name": "tenant", "namespace": space}}
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}]
    await owner.create({"kind": "Role", **about, "rules": rules})
    role = {"apiGroup": _RBAC, "kind": "Role", "name": "tenant"}
    account = {"kind": "ServiceAccount", "name": "default", "namespace": space}
    await owner.create({"kind": "RoleBinding", **about, "roleRef": role, "subjects": [account]})


@pytest.mark.parametrize("levels", [5_000, 9_900])
async def test_a_pod_that_is_nested_as_deep_as_an_api_server_takes_it(
    api: Transport, owner: Client, nest: Nest, space: str, levels: int
) -> None:
    """Any tenant can write that: it is told like any other pod, and so are the others."""
    await owner.create(pod(space, "nested"))
    async with watching(api, space) as watch:
        await watch.until("listed", "nested")
        await nest("nested", levels)
        await watch.until("changed", "nested")
        await owner.create(pod(space, "other"))
        await watch.until("changed", "other")
    for streams in (True, False):
        async with watching(api, space) as watch:
            watch.reflector._streams = streams  # noqa: SLF001 - as after a refusal
            await watch.until("listed", "nested other")
    await nest("nested", 1)  # Other tests read all pods there are.


async def test_a_listing_does_not_wait_for_one_that_is_away(
    bare_cluster: Cluster, api: Transport, owner: Client, space: str
) -> None:
    """An API server that was stopped and started: the watch goes on, whatever it has to list."""
    await owner.create(pod(space, "web"))
    async with watching(api, space) as watch:
        await watch.until("listed", "web")
        async with bare_cluster.outage():
            await watch.until("fresh", "False")
        await owner.create(pod(space, "late"))
        async with asyncio.timeout(60), watch.grown:
            await watch.grown.wait_for(
                lambda: ("changed", "late") in watch.told or ("listed", "late web") in watch.told
            )
