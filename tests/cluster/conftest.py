"""Fixtures of tests in which Rolecall runs in a cluster."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from chart.release import Release
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
async def apps(at: Serving, namespace: str) -> str:
    """Make a namespace that permits every role."""
    await at.admin.patch("Namespace", namespace, {"metadata": {"annotations": PERMITS}})
    return namespace


@pytest.fixture
async def release(cluster: Cluster, namespace: str) -> AsyncGenerator[Release]:
    """Install the chart without waiting for its pods, and take it away again."""
    release = Release(cluster, namespace)
    await release.helm("install")
    yield release
    await release.uninstall()
