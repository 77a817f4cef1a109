"""Fixtures of tests in which Rolecall runs in a cluster."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from chart.release import Release
from cluster.attacker import Field, battlefield
from cluster.grounds import Grounds, prepared
from cluster.serving import PERMITS, Serving, install, loopback_node, serving
from testcluster.cluster import Cluster

NUMBERS = (101, 102)


@pytest.fixture(scope="session")
def released(cluster: Cluster) -> Cluster:
    """Install the chart into the whole cluster, and add two nodes whose pods can be spoken for."""

    async def prepare() -> None:
        async with cluster.admin() as admin:
            for number in NUMBERS:
                await admin.create(loopback_node(number))
        await install(cluster)

    asyncio.run(prepare())
    return cluster


@pytest.fixture
async def at(released: Cluster, tmp_path: Path) -> AsyncGenerator[Serving]:
    """Make the places of Rolecall's processes; nothing runs yet."""
    async with serving(released, tmp_path) as running:
        yield running


@pytest.fixture
async def apps(at: Serving, namespace: str) -> AsyncGenerator[str]:
    """Make a namespace that permits every role; its pods are gone before the next test."""
    await at.admin.patch("Namespace", namespace, {"metadata": {"annotations": PERMITS}})
    yield namespace
    # The namespace's own end takes its time; the next test's server shall not see these pods.
    for path, kind in (("deployments", "Deployment"), ("replicasets", "ReplicaSet")):
        await at.admin.request("DELETE", f"/apis/apps/v1/namespaces/{namespace}/{path}")
        # One that is still there would make its pods anew.
        await at.admin.until(kind, lambda found: not found, namespace)
    now = {"gracePeriodSeconds": 0}
    await at.admin.request("DELETE", f"/api/v1/namespaces/{namespace}/pods", now)
    await at.admin.until("Pod", lambda pods: not pods, namespace)


@pytest.fixture
async def release(cluster: Cluster, namespace: str) -> AsyncGenerator[Release]:
    """Install the chart without waiting for its pods, and take it away again."""
    release = Release(cluster, namespace)
    await release.helm("install")
    yield release
    await release.uninstall()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def grounds(real_cluster: Cluster, real_images: Path) -> AsyncGenerator[Grounds]:
    """Two real nodes with the chart and the images of this checkout, and STS beside them."""
    async with prepared(real_cluster, real_images) as grounds:
        yield grounds


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def field(
    released: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Field]:
    """Two nodes, an attacker on one of them, a server, and the other's agent."""
    async with battlefield(released, tmp_path_factory.mktemp("field")) as field:
        yield field
