"""The chart in a real cluster: installed, upgraded, taken away, and its policies at work."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from chart.rendering import CHART, Helm
from chart.sets import SETS
from testcluster.client import STRATEGIC, Client, Manifest, RefusedError
from testcluster.cluster import Cluster, CommandError

pytestmark = pytest.mark.every_kubernetes

ROLE = "iam.amazonaws.com/role"
TAG = "iam.amazonaws.com/session-tag.team"
# Every kind that the chart makes.
KINDS = (
    *("ConfigMap", "Secret", "Service", "ServiceAccount", "Deployment", "DaemonSet"),
    *("PodDisruptionBudget", "ClusterRole", "ClusterRoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
)
WAIT = ("--wait", "--timeout", "50s")
VALUES = {"server": {"settings": {"sessionTags": {"stage": "{label:stage}"}}}}


class Release:
    """The chart, installed in a namespace under the namespace's name."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self.namespace = namespace
        self.name = f"{namespace}-rolecall"

    async def helm(self, command: str, *flags: str, values: dict[str, Any] | None = None) -> str:
        return await self._cluster.helm(
            *(command, self.namespace, str(CHART), "--namespace", self.namespace),
            *("--values", "-", *flags),
            given=json.dumps(values or VALUES),
        )

    async def uninstall(self, *flags: str) -> None:
        await self._cluster.helm("uninstall", self.namespace, "--namespace", self.namespace, *flags)


@pytest.fixture
async def release(cluster: Cluster, namespace: str) -> AsyncGenerator[Release]:
    """Install the chart without waiting for its pods, and take it away again."""
    release = Release(cluster, namespace)
    await release.helm("install")
    yield release
    await release.uninstall()


async def of_release(admin: Client, namespace: str) -> set[tuple[str, str]]:
    """Return kind and name of everything that belongs to the release."""
    found = set()
    for kind in KINDS:
        items = await admin.find(kind, labelSelector=f"app.kubernetes.io/instance={namespace}")
        found |= {(kind, item["metadata"]["name"]) for item in items}
    return found


async def until_denied(attempt: Callable[[], Awaitable[object]]) -> RefusedError:
    """Try until it is refused: a new policy takes the API server a moment to heed."""
    async with asyncio.timeout(30):
        while True:
            try:
                await attempt()
            except RefusedError as refused:
                return refused


def pod(namespace: str, name: str, **metadata: object) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "main"}]},
    }


async def test_it_installs_upgrades_and_goes(
    cluster: Cluster, admin: Client, namespace: str
) -> None:
    """All pods come, an upgrade keeps what is secret, and nothing stays behind."""
    release = Release(cluster, namespace)
    said = await release.helm("install", *WAIT)
    secrets = [f"{release.name}-{name}" for name in ("authority", "server-tls", "token-secret")]
    first = [await admin.get("Secret", name, namespace) for name in secrets]
    trusted = await admin.get("ConfigMap", f"{release.name}-authority", namespace)

    assert "THIS CHART DOES NOT DO THAT YET" in said
    assert "tls.source is generated" in said
    agents = await admin.get("DaemonSet", f"{release.name}-agent", namespace)
    servers = await admin.get("Deployment", f"{release.name}-server", namespace)
    nodes = await admin.find("Node")
    assert agents["status"]["numberReady"] == len(nodes)
    assert servers["status"]["readyReplicas"] == 2

    changed = {"server": {"settings": {"sessionDuration": "2h"}}}
    await release.helm("upgrade", *WAIT, values=changed)
    again = [await admin.get("Secret", name, namespace) for name in secrets]
    assert [each["data"] for each in again] == [each["data"] for each in first]
    assert (
        trusted["data"]
        == ((await admin.get("ConfigMap", f"{release.name}-authority", namespace))["data"])
    )

    await release.uninstall("--wait")
    assert await of_release(admin, namespace) == set()


async def test_a_certificate_near_its_end_is_made_anew_by_the_same_authority(
    release: Release, admin: Client
) -> None:
    """An upgrade looks at the end that is noted beside it; agents trust the new one at once."""
    names = (f"{release.name}-server-tls", f"{release.name}-authority")
    leaf, authority = [await admin.get("Secret", name, release.namespace) for name in names]
    near = {"metadata": {"annotations": {"rolecall.io/not-after": "2026-01-01T00:00:00Z"}}}
    await admin.patch("Secret", names[0], near, release.namespace)

    await release.helm("upgrade")
    newer, same = [await admin.get("Secret", name, release.namespace) for name in names]
    assert newer["data"]["tls.crt"] != leaf["data"]["tls.crt"]
    assert newer["metadata"]["annotations"]["rolecall.io/not-after"] > "2026-06"
    assert same["data"] == authority["data"]


async def test_an_authority_near_its_end_is_trusted_beside_its_successor(
    release: Release, admin: Client
) -> None:
    """Agents that still meet the old certificate go on, until every server has the new one."""
    name = f"{release.name}-authority"
    before = await admin.get("ConfigMap", name, release.namespace)
    near = {"metadata": {"annotations": {"rolecall.io/not-after": "2026-01-01T00:00:00Z"}}}
    await admin.patch("Secret", name, near, release.namespace)

    await release.helm("upgrade")
    after = await admin.get("ConfigMap", name, release.namespace)
    assert after["data"]["ca.crt"].count("BEGIN CERTIFICATE") == 2
    assert before["data"]["ca.crt"].strip() in after["data"]["ca.crt"]


@pytest.mark.parametrize("values", sorted(SETS.keys() - {"cert-manager"}))
async def test_the_api_server_accepts_every_object(
    cluster: Cluster, namespace: str, values: str
) -> None:
    """No field is unknown or of the wrong kind, whatever parts of the chart are asked for."""
    rendering = Helm(cluster.binaries.helm).render(
        SETS[values], release=namespace, namespace=namespace
    )

    await cluster.kubectl(
        *("apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors"),
        *("--namespace", namespace, "--filename=-"),
        given=rendering.text,
    )


async def test_the_servers_fit_into_a_restricted_namespace_and_agents_lack_one_thing(
    cluster: Cluster, admin: Client, namespace: str
) -> None:
    """The host's network is the only thing for which agents need a privileged namespace."""
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await admin.patch("Namespace", namespace, label)
    rendering = Helm(cluster.binaries.helm).render(release="rolecall", namespace=namespace)
    server, agent = (
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "one", "namespace": namespace},
            "spec": template["spec"] | {"serviceAccountName": "default"},
        }
        for template in (rendering.server, rendering.agent)
    )

    await admin.create(server, dryRun="All")
    with pytest.raises(RefusedError, match=r"latest\": host namespaces \(hostNetwork=true\)$"):
        await admin.create(agent, dryRun="All")


async def test_the_servers_account_may_do_what_it_needs_and_the_agents_nothing(
    release: Release, admin: Client
) -> None:
    """The API server's own answer for each."""
    user = f"system:serviceaccount:{release.namespace}:{release.name}"

    async def may(account: str, **what: str) -> bool:
        kind = "nonResourceAttributes" if "path" in what else "resourceAttributes"
        review = await admin.create(
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {"user": f"{user}-{account}", kind: what},
            }
        )
        return bool(review["status"]["allowed"])

    assert await may("server", verb="watch", resource="pods")
    assert await may("server", verb="get", path="/openid/v1/jwks")
    assert await may(
        "server", verb="create", resource="tokenreviews", group="authentication.k8s.io"
    )
    assert not await may("server", verb="get", resource="secrets")
    assert not await may("server", verb="patch", resource="pods")
    assert not await may("agent", verb="get", resource="pods")


async def test_a_node_can_give_its_pods_neither_roles_nor_tags(
    release: Release, cluster: Cluster, admin: Client
) -> None:
    """It may not set, change or remove what a pod's role comes from, and may report as ever."""
    where = release.namespace
    notes = {ROLE: "reader", TAG: "blue"}
    await admin.create(pod(where, "with", annotations=notes, labels={"stage": "test"}))
    await admin.create(pod(where, "without"))

    async with cluster.node("node-1") as node:

        async def report(name: str, metadata: dict[str, Any]) -> None:
            change = {"metadata": metadata, "status": {"message": "seen"}}
            await node.patch("Pod", name, change, where, subresource="status", dryRun="All")

        async def writes(name: str, value: str | None, key: str = ROLE) -> None:
            await report(name, {"annotations": {key: value}})

        refused = await until_denied(lambda: writes("without", "admin"))
        assert release.name + "-node-guard" in refused.message
        for name, value, key in [
            ("without", "", ROLE),
            ("with", "admin", ROLE),
            ("with", "", ROLE),
            ("with", None, ROLE),
            ("without", "x", "iam.amazonaws.com/external-id"),
            ("without", "x", "iam.amazonaws.com/session-name"),
            ("without", "blue", TAG),
            ("with", "green", TAG),
            ("with", None, TAG),
        ]:
            with pytest.raises(RefusedError, match="a node may not"):
                await writes(name, value, key)

        for name in ("with", "without"):
            await report(name, {})
            await report(name, {"annotations": {"other": "x"}})
            await node.patch(
                *("Pod", name, {"status": {"message": "seen"}}, where),
                subresource="status",
                content_type=STRATEGIC,
            )


async def test_labels_that_feed_tags_are_guarded_where_nothing_else_does(
    release: Release, cluster: Cluster, admin: Client
) -> None:
    """NodeRestriction keeps nodes from labels of pods; the guard does where that is not there."""
    where = release.namespace
    await admin.create(pod(where, "web", labels={"stage": "test"}))

    async def label(name: str, value: str | None) -> str:
        change = json.dumps({"metadata": {"labels": {name: value}}})
        try:
            return await cluster.kubectl(
                *("patch", "pod", "web", "--namespace", where, "--subresource=status"),
                # Of the nodes' group, without a node's name: NodeRestriction looks for both.
                *("--as=kubelet", "--as-group=system:nodes", "--as-group=system:masters"),
                *("--dry-run=server", "--type=merge", "--patch", change),
            )
        except CommandError as error:
            return str(error)

    async with asyncio.timeout(30):
        while "a label that session tags are made of" not in await label("stage", "prod"):
            pass
    assert "a label that session tags are made of" in await label("stage", None)
    assert "patched" in await label("stage", "test")
    assert "patched" in await label("other", "x")


async def test_a_node_can_make_no_pod_with_a_role(
    release: Release, cluster: Cluster, admin: Client
) -> None:
    """A mirror pod may be made in any namespace, but not with what gives a pod its role."""
    owner = await admin.get("Node", "node-1")
    mirror = {
        "annotations": {"kubernetes.io/config.mirror": "x"},
        "labels": {"stage": "test"},
        "ownerReferences": [
            {
                "apiVersion": "v1",
                "kind": "Node",
                "name": "node-1",
                "uid": owner["metadata"]["uid"],
                "controller": True,
            }
        ],
    }
    annotated = mirror | {"annotations": {**mirror["annotations"], ROLE: "admin"}}
    tagged = mirror | {"annotations": {**mirror["annotations"], TAG: "blue"}}
    where = release.namespace

    async with cluster.node("node-1") as node:
        refused = await until_denied(
            lambda: node.create(pod(where, "made", **annotated), dryRun="All")
        )
        assert "a node may not" in refused.message
        with pytest.raises(RefusedError, match="a node may not"):
            await node.create(pod(where, "made", **tagged), dryRun="All")
        await node.create(pod(where, "made", **mirror), dryRun="All")


async def test_everybody_else_writes_annotations_as_ever(
    release: Release, cluster: Cluster, admin: Client
) -> None:
    """The guard judges nodes alone."""
    where = release.namespace
    await admin.create(pod(where, "web", annotations={ROLE: "reader"}))
    async with cluster.node("node-1") as node:
        change = {"metadata": {"annotations": {ROLE: "admin"}}}
        await until_denied(
            lambda: node.patch("Pod", "web", change, where, subresource="status", dryRun="All")
        )
    await admin.patch("Pod", "web", change, where)

    changed = await admin.get("Pod", "web", where)
    assert changed["metadata"]["annotations"][ROLE] == "admin"


@pytest.mark.parametrize("kind", ["Deployment", "CronJob"])
async def test_a_role_on_the_workload_itself_is_warned_of(
    release: Release, cluster: Cluster, kind: str
) -> None:
    """Whoever applies it reads what to do instead; with the role in the template all is quiet."""
    where = release.namespace

    async def apply(own: dict[str, str], of_pods: dict[str, str]) -> str:
        manifest = workload(kind, where, own, of_pods)
        arguments = ("apply", "--dry-run=server", "--warnings-as-errors", "--filename=-")
        try:
            return await cluster.kubectl(*arguments, given=json.dumps(manifest))
        except CommandError as error:
            return str(error)

    async with asyncio.timeout(30):
        while "Warning" not in (said := await apply({ROLE: "reader"}, {})):
            pass

    assert f"the annotation {ROLE} does nothing on the {kind} itself" in said
    for own, of_pods in [({}, {}), ({}, {ROLE: "a"}), ({ROLE: "a"}, {ROLE: "a"})]:
        assert "Warning" not in await apply(own, of_pods)


def workload(
    kind: str, namespace: str, own: dict[str, str], of_pods: dict[str, str]
) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": "web"}, "annotations": of_pods},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "web", "image": "web"}]},
    }
    metadata = {"name": "web", "namespace": namespace, "annotations": own}
    if kind == "CronJob":
        job = {"spec": {"template": template}}
        spec: dict[str, Any] = {"schedule": "0 0 * * *", "jobTemplate": job}
        return {"apiVersion": "batch/v1", "kind": kind, "metadata": metadata, "spec": spec}
    template["spec"]["restartPolicy"] = "Always"  # type: ignore[index]  # a mapping of mappings
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


async def test_the_policies_are_understood(release: Release, admin: Client) -> None:
    """The API server's own check of their types finds nothing to remark."""

    def checked(policies: dict[str, Manifest]) -> bool:
        return all("typeChecking" in each.get("status", {}) for each in policies.values())

    selector = f"app.kubernetes.io/instance={release.namespace}"
    policies = await admin.until(
        "ValidatingAdmissionPolicy",
        lambda found: len(found) == 2 and checked(dict(found)),
        labelSelector=selector,
    )

    remarks = {name: each["status"]["typeChecking"] for name, each in policies.items()}
    assert all(remark == {} for remark in remarks.values()), remarks
