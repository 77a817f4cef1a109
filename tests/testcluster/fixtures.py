"""Fixtures of tests that need a real Kubernetes: clusters that a whole run shares.

Tests share a cluster and have each a namespace of their own, so they must not ask for more than
theirs, and leave nodes and cluster-wide objects as they found them.
"""

import secrets
from collections.abc import AsyncGenerator, Iterator

import pytest

from testcluster.binaries import Binaries
from testcluster.build import build, missing
from testcluster.client import Client
from testcluster.cluster import Cluster, running
from testcluster.controlplane import BARE
from testcluster.golang import NoGoError, find_go
from testcluster.recipes import recipes
from testcluster.versions import KUBERNETES, NEWEST


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "every_kubernetes: runs against each version that we speak with, not the newest alone",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test its versions of Kubernetes; those of one version run one after the other."""
    if "kubernetes" in metafunc.fixturenames:
        every = metafunc.definition.get_closest_marker("every_kubernetes") is not None
        versions = KUBERNETES if every else (NEWEST,)
        metafunc.parametrize("kubernetes", versions, indirect=True, scope="session")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the chosen tests need, before the clock of any of them ticks."""
    chosen = {
        item.callspec.params["kubernetes"]
        for item in session.items
        if isinstance(item, pytest.Function) and "kubernetes" in item.fixturenames
    }
    versions = tuple(version for version in KUBERNETES if version in chosen)
    wanted = recipes(versions) if versions else []
    if session.config.option.collectonly or not missing(wanted):
        return
    try:
        go = find_go()
    except NoGoError:
        return  # The tests are left out, and say why.
    capture = session.config.pluginmanager.get_plugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        build(wanted, go)


@pytest.fixture(scope="session")
def kubernetes(request: pytest.FixtureRequest) -> str:
    """Name the version of Kubernetes."""
    version: str = request.param
    return version


@pytest.fixture(scope="session")
def binaries(kubernetes: str) -> Binaries:
    """Say where the binaries are: the control plane, kubectl, Helm and kwok."""
    if missing(recipes((kubernetes,))):
        with pytest.raises(NoGoError) as caught:
            find_go()
        pytest.skip(f"no binaries of Kubernetes, and {caught.value}")
    return Binaries(kubernetes)


@pytest.fixture(scope="session")
def cluster(binaries: Binaries) -> Iterator[Cluster]:
    """Run a whole cluster with two nodes that kwok plays, `node-1` and `node-2`."""
    with running(binaries) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def bare_cluster(binaries: Binaries) -> Iterator[Cluster]:
    """Run an API server with its etcd, where nothing happens by itself."""
    with running(binaries, BARE) as cluster:
        yield cluster


@pytest.fixture
async def admin(cluster: Cluster) -> AsyncGenerator[Client]:
    """Speak to the whole cluster as one who may do everything."""
    async with cluster.admin() as client:
        yield client


@pytest.fixture
async def namespace(admin: Client) -> AsyncGenerator[str]:
    """Make a namespace of the whole cluster, in which pods can be made at once."""
    name = f"test-{secrets.token_hex(4)}"
    await admin.create_namespace(name)
    yield name
    await admin.delete("Namespace", name)
