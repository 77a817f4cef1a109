"""Fills a cluster with pods as real ones have them: 8 KB each, little of it our business.

They are made over HTTP, one request for the pod and one for its status, so that the API server
makes of them what it makes of a kubelet's and a controller's writes, `managedFields` included.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from cluster.serving import PERMITS, ROLE
from testcluster.client import Client, Manifest
from testcluster.nodes import node

NAMESPACES = 50
NODES = 100
# Pods of one application share namespace, service account and, every second one, a role.
_PODS_OF_AN_APPLICATION = 10
_AT_ONCE = 24
_FIRST_ADDRESS = IPv4Address("10.64.0.1")
_NOW = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Inhabitant:
    """A pod as far as it matters here; everything else about it is alike."""

    name: str
    namespace: str
    node: str
    address: str
    application: str
    role: str | None


def inhabitants(first: int, end: int) -> list[Inhabitant]:
    """Return the pods from number *first* up to *end*, spread over namespaces and nodes."""
    return [_inhabitant(number) for number in range(first, end)]


def _inhabitant(number: int) -> Inhabitant:
    application = number // _PODS_OF_AN_APPLICATION
    space = application % NAMESPACES
    return Inhabitant(
        name=f"orders-backend-{application}-7d9c6bd8f5-{number:05x}",
        namespace=f"team-{space}",
        node=f"node-{1 + number % NODES}",
        address=str(_FIRST_ADDRESS + number),
        application=f"orders-backend-{application}",
        role=f"orders-{application}" if permits(space) else None,
    )


def permits(space: int) -> bool:
    """Whether the namespace of that number has annotations, and its pods have roles."""
    return space % 2 == 0


class Population:
    """The pods of one cluster, which can grow."""

    def __init__(self, admin: Client) -> None:
        self._admin = admin
        self._next = 0

    async def settle(self) -> None:
        """Make the namespaces and the nodes."""
        for number in range(NAMESPACES):
            name = f"team-{number}"
            await self._admin.create_namespace(name)
            if permits(number):
                await self._admin.patch("Namespace", name, {"metadata": {"annotations": PERMITS}})
        for number in range(1, NODES + 1):
            await self._admin.create(node(number))

    async def grow(self, total: int) -> None:
        """Make pods until the cluster has *total*, whoever made the others."""
        missing = total - await self._count()
        first, self._next = self._next, self._next + max(0, missing)
        await move_in(self._admin, inhabitants(first, self._next))

    async def _count(self) -> int:
        page = await self._admin.request("GET", "/api/v1/pods", query={"limit": "1"})
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))


async def move_in(admin: Client, pods: Sequence[Inhabitant]) -> None:
    """Make *pods*, each of them running and with its address."""

    async def some(mine: Sequence[Inhabitant]) -> None:
        for pod in mine:
            await admin.create(manifest(pod), fieldManager="kube-controller-manager")
            await admin.patch(
                "Pod", pod.name, {"status": status(pod)}, pod.namespace,
                subresource="status", fieldManager="kubelet",
            )  # fmt: skip

    async with asyncio.TaskGroup() as tasks:
        for start in range(_AT_ONCE):
            tasks.create_task(some(pods[start::_AT_ONCE]), name=f"make pods {start}")


def manifest(pod: Inhabitant) -> Manifest:
    """Return what a ReplicaSet's controller writes: two containers, as Deployments have them."""
    labels = {
        "app.kubernetes.io/name": pod.application,
        "app.kubernetes.io/part-of": "orders",
        "app.kubernetes.io/version": "2026.1.0",
        "pod-template-hash": "7d9c6bd8f5",
    }
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8080",
        "checksum/config": "5f3c2d9b8a7e6f1c0d4b3a2918e7f6c5d4b3a2918e7f6c5d4b3a29180f1e2d3c",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod.name,
            "namespace": pod.namespace,
            "labels": labels,
            "annotations": annotations | ({ROLE: pod.role} if pod.role else {}),
            "ownerReferences": [_owner(pod)],
        },
        "spec": {
            "nodeName": pod.node,
            "containers": [_main(), _PROXY],
            "volumes": [
                {"name": "config", "configMap": {"name": pod.application}},
                {"name": "scratch", "emptyDir": {}},
            ],
            "terminationGracePeriodSeconds": 60,
        },
    }


def _owner(pod: Inhabitant) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"{pod.application}-7d9c6bd8f5",
        "uid": "6b1f6a3c-0d1e-4f5a-9b8c-7d6e5f4a3b2c",
        "controller": True,
        "blockOwnerDeletion": True,
    }


_PROXY = {
    "name": "proxy",
    "image": "registry.example.com/orders/proxy:2026.1.0",
    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
}


def _main() -> dict[str, Any]:
    return {
        "name": "main",
        "image": "registry.example.com/orders/main:2026.1.0",
        "args": ["--listen", ":8080", "--config", "/etc/orders/config.yaml"],
        "env": [
            {"name": "LOG_LEVEL", "value": "info"},
            {"name": "AWS_REGION", "value": "eu-west-1"},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "ports": [{"name": "http", "containerPort": 8080}],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": "256Mi"},
        },
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True},
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/orders", "readOnly": True},
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - in the pod
        ],
    }


def status(pod: Inhabitant) -> dict[str, Any]:
    """Return what a kubelet writes once everything runs."""
    conditions = (
        "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled",
    )  # fmt: skip
    return {
        "phase": "Running",
        "hostIP": "172.16.0.1",
        "hostIPs": [{"ip": "172.16.0.1"}],
        "podIP": pod.address,
        "podIPs": [{"ip": pod.address}],
        "qosClass": "Burstable",
        "startTime": _NOW,
        "conditions": [
            {"type": each, "status": "True", "lastTransitionTime": _NOW} for each in conditions
        ],
        "containerStatuses": [_container_status("main"), _container_status("proxy")],
    }


def _container_status(name: str) -> dict[str, Any]:
    image = f"registry.example.com/orders/{name}"
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    return {
        "name": name,
        "image": f"{image}:2026.1.0",
        "imageID": f"{image}@sha256:{digest}",
        "containerID": f"containerd://{digest}",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": _NOW}},
    }
