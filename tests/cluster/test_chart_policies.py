"""The chart's admission policies, as the API server applies them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chart.release import Release
from testcluster.client import STRATEGIC, Client, Manifest, RefusedError
from testcluster.cluster import Cluster, CommandError

pytestmark = pytest.mark.every_kubernetes

ROLE = "iam.amazonaws.com/role"
TAG = "iam.amazonaws.com/session-tag.team"


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
        # Another release of the session may have its guard there, too: either may be the first.
        assert "-node-guard" in refused.message
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
