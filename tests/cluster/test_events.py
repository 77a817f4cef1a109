"""Events, as a real API server takes them from one who may do no more than write them."""

import asyncio
import contextlib
import json
import logging
import random
import secrets
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from rolecall_common.clock import SystemClock
from rolecall_proto.values import PodUid, Reason
from rolecall_server.kube.access import Access
from rolecall_server.kube.events.recorder import EventRecorder, Reporter
from rolecall_server.kube.transport import Transport
from rolecall_server.model.pods import Pod
from rolecall_server.telemetry.metrics import Metrics
from testcluster.client import PATIENCE, Client, Manifest
from testcluster.cluster import Cluster
from testcluster.commands import ISSUER

pytestmark = pytest.mark.every_kubernetes

# What the chart gives to the servers for Events.
RIGHTS = [{"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]}]


@dataclass(frozen=True, slots=True)
class Reporting:
    """Events that are being written, as a service account of the namespace."""

    events: EventRecorder
    metrics: Metrics
    admin: Client
    namespace: str

    async def pod(self, name: str) -> Pod:
        """Make a pod that nobody runs."""
        made = await self.admin.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {
                    "schedulerName": "nobody",
                    "containers": [{"name": "main", "image": "main"}],
                },
            }
        )
        return Pod(PodUid(made["metadata"]["uid"]), self.namespace, name)

    async def until_event(self, of: Pod, *, count: int = 1) -> Manifest:
        """Return the Event on a pod, once there is one that was seen *count* times."""

        def is_there(events: Mapping[str, Manifest]) -> bool:
            return any(_count(each) == count for each in events.values())

        selector = f"involvedObject.uid={of.uid}"
        found = await self.admin.until("Event", is_there, self.namespace, fieldSelector=selector)
        (event,) = found.values()
        return event


def _count(event: Manifest) -> int:
    return int((event.get("series") or {"count": 1})["count"])


@pytest.fixture
async def reporting(
    cluster: Cluster, admin: Client, namespace: str, tmp_path: Path
) -> AsyncGenerator[Reporting]:
    """Have Events written by a service account with the chart's rights, and no other ones."""
    await _let_write(admin, namespace)
    kubeconfig = await _account(cluster, admin, namespace, tmp_path)
    await _until_allowed(admin, namespace)
    async with _reporting(kubeconfig, admin, namespace) as reporting:
        yield reporting


async def _account(cluster: Cluster, admin: Client, namespace: str, folder: Path) -> Path:
    """Return a kubeconfig of the namespace's own account."""
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(_kubeconfig(cluster, await admin.token("default", namespace, ISSUER)))
    return kubeconfig


@contextlib.asynccontextmanager
async def _reporting(kubeconfig: Path, admin: Client, namespace: str) -> AsyncGenerator[Reporting]:
    metrics, dice = Metrics(), random.Random()  # noqa: S311 - only jitter
    async with Transport(Access(kubeconfig)) as api:
        events = EventRecorder(api, Reporter("server-1"), SystemClock(), dice, metrics)
        writing = asyncio.create_task(events.run(), name="write Events")
        try:
            yield Reporting(events, metrics, admin, namespace)
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing


async def _let_write(admin: Client, namespace: str) -> None:
    rbac, metadata = "rbac.authorization.k8s.io", {"name": "reporter", "namespace": namespace}
    version = f"{rbac}/v1"
    await admin.create(
        {"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": RIGHTS}
    )
    await admin.create(
        {
            "apiVersion": version,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "reporter"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
        }
    )


async def _until_allowed(admin: Client, namespace: str) -> None:
    """Return once the API server has heard of the new right, which it does a moment later.

    After a refusal nothing is written about a namespace for minutes.
    """
    what = {"verb": "create", "group": "events.k8s.io", "resource": "events"}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{namespace}:default",
            "resourceAttributes": what | {"namespace": namespace},
        },
    }
    async with asyncio.timeout(PATIENCE):
        while not (await admin.create(review))["status"]["allowed"]:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)


def _kubeconfig(cluster: Cluster, token: str) -> str:
    server = {"server": cluster.url, "certificate-authority": str(cluster.bundle)}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": server}],
            "users": [{"name": "reporter", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "reporter"}}],
            "current-context": "test",
        }
    )


async def test_kubectl_shows_on_the_pod_why_it_has_no_role(
    cluster: Cluster, reporting: Reporting
) -> None:
    """Reason, sentence and who says so are in the last lines of `kubectl describe pod`."""
    web = await reporting.pod("web")
    reporting.events.denied(web, Reason.NAMESPACE_FORBIDS, "the role 'admin' is not permitted here")
    await reporting.until_event(web)
    shown = await cluster.kubectl("describe", "pod", "web", "--namespace", reporting.namespace)

    line = shown.splitlines()[-1]
    assert line.split()[:2] == ["Warning", "RoleDenied"]
    assert "rolecall.io/server" in line
    assert line.endswith("the role 'admin' is not permitted here")


async def test_a_repeat_is_taken_as_a_series(cluster: Cluster, reporting: Reporting) -> None:
    """There is one Event, and kubectl shows how often."""
    web = await reporting.pod("web")
    for count in (1, 2):
        reporting.events.refused(web, Reason.ACCESS_DENIED, "STS says no")
        event = await reporting.until_event(web, count=count)
    shown = await cluster.kubectl("describe", "pod", "web", "--namespace", reporting.namespace)

    assert event["reason"] == "RoleNotAssumable"
    assert event["reportingInstance"] == "server-1"
    assert "(x2 over " in shown.splitlines()[-1]
    assert reporting.metrics.events.value("RoleNotAssumable") == 2


async def test_another_server_goes_on_with_the_series(
    cluster: Cluster, reporting: Reporting
) -> None:
    """A server that knows nothing of the Event finds it by its name."""
    web = await reporting.pod("web")
    reporting.events.denied(web, Reason.ROLE_MALFORMED, "what is this")
    await reporting.until_event(web)
    async with _reporting(cluster.kubeconfig, reporting.admin, reporting.namespace) as other:
        other.events.denied(web, Reason.ROLE_MALFORMED, "what is this")
        event = await other.until_event(web, count=2)

    assert event["reason"] == "RoleMalformed"


async def test_an_event_that_is_gone_is_written_anew(reporting: Reporting) -> None:
    """The API server says 404 to a change of an Event that has expired."""
    web = await reporting.pod("web")
    reporting.events.denied(web, Reason.NAMESPACE_FORBIDS, "no")
    old = await reporting.until_event(web)
    await reporting.admin.delete("Event", old["metadata"]["name"], reporting.namespace)
    reporting.events.denied(web, Reason.NAMESPACE_FORBIDS, "no")
    new = await reporting.until_event(web)

    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert new["metadata"]["name"] == old["metadata"]["name"]


async def test_the_longest_name_and_the_strangest_sentence_are_taken(reporting: Reporting) -> None:
    """Limits of names and notes are the API server's own."""
    long = await reporting.pod("a" * 63 + ".b" * 95)
    reporting.events.denied(long, Reason.ROLE_MALFORMED, "\x1b[2J\ud800\u202e" + "ü😀" * 1000)
    event = await reporting.until_event(long)

    assert len(event["message"].encode()) <= 1024
    assert event["message"].isprintable()
    assert reporting.metrics.events_dropped.value("rejected") == 0


async def test_a_namespace_that_is_going_takes_no_event_and_is_no_missing_right(
    cluster: Cluster, admin: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The API server says 403 to both, even to who may do everything; one of them is no news."""
    going = f"test-going-{secrets.token_hex(4)}"
    await admin.create_namespace(going)
    # The administrator's access: that of an account of the namespace would go with it.
    async with _reporting(cluster.kubeconfig, admin, going) as reporting:
        web = await reporting.pod("web")
        await admin.patch("Pod", "web", {"metadata": {"finalizers": ["example.com/kept"]}}, going)
        await admin.delete("Namespace", going)
        reporting.events.denied(web, Reason.NAMESPACE_FORBIDS, "no")
        await _until_counted(reporting, "namespace_gone")
        await admin.patch("Pod", "web", {"metadata": {"finalizers": []}}, going)

    assert caplog.messages == []


async def test_a_missing_right_is_named(
    cluster: Cluster,
    admin: Client,
    namespace: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The line says which verb on what, in the API server's own words too."""
    caplog.set_level(logging.WARNING, logger="rolecall_server.kube.events.recorder")
    kubeconfig = await _account(cluster, admin, namespace, tmp_path)
    async with _reporting(kubeconfig, admin, namespace) as reporting:
        reporting.events.denied(await reporting.pod("web"), Reason.NAMESPACE_FORBIDS, "no")
        await _until_counted(reporting, "forbidden")

    (record,) = caplog.records
    assert vars(record)["verb"] == "create"
    assert "cannot create resource" in vars(record)["reason"]


async def _until_counted(reporting: Reporting, why: str) -> None:
    """Return once an Event was dropped for *why*: what is refused leaves no trace elsewhere."""
    async with asyncio.timeout(PATIENCE):
        while not reporting.metrics.events_dropped.value(why):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)
