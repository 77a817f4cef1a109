"""Fixtures of tests that need a real Kubernetes: clusters that a whole run shares.

Tests share a cluster and have each a namespace of their own, so they must not ask for more than
theirs, and leave nodes and cluster-wide objects as they found them.
"""

import contextlib
import secrets
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from testcluster.binaries import Binaries
from testcluster.build import BuildError, build, missing
from testcluster.client import Client, RefusedError
from testcluster.cluster import Cluster, running
from testcluster.controlplane import BARE
from testcluster.golang import NoGoError, find_go
from testcluster.images.ours import prepare_layers, write_images
from testcluster.machines.wanted import lacking
from testcluster.output import say
from testcluster.processes import StartError
from testcluster.recipes import HELM_RECIPE, Recipe, real_node, recipes
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
    wanted = missing(_needed_by(session.items))
    images = _asks_for(session.items, "real_images") and not lacking()
    if session.config.option.collectonly or not (wanted or images):
        return
    capture = session.config.pluginmanager.get_plugin("capturemanager")
    assert capture is not None
    # The standard output of one of several processes that run tests leads nowhere.
    with capture.global_and_fixture_disabled(), contextlib.redirect_stdout(sys.stderr):
        try:
            if wanted:
                build(wanted, find_go())
            if images:
                prepare_layers()
        except NoGoError:
            return  # The tests are left out, and say why.
        except (BuildError, StartError) as error:
            say(f"error: {error}")  # The same; all others can run.


def _asks_for(items: list[pytest.Item], fixture: str) -> bool:
    functions = [item for item in items if isinstance(item, pytest.Function)]
    return any(fixture in item.fixturenames for item in functions)


def _needed_by(items: list[pytest.Item]) -> list[Recipe]:
    functions = [item for item in items if isinstance(item, pytest.Function)]
    clusters = [item for item in functions if "kubernetes" in item.fixturenames]
    chosen = {item.callspec.params["kubernetes"] for item in clusters}
    if chosen:
        real = _asks_for(items, "real_cluster") and not lacking()
        versions = tuple(version for version in KUBERNETES if version in chosen)
        return recipes(versions, (NEWEST,) if real else ())
    helm = any("helm_program" in item.fixturenames for item in functions)
    return [HELM_RECIPE] if helm else []


@pytest.fixture(scope="session")
def kubernetes(request: pytest.FixtureRequest) -> str:
    """Name the version of Kubernetes."""
    version: str = request.param
    return version


@pytest.fixture(scope="session")
def binaries(kubernetes: str) -> Binaries:
    """Say where the binaries are: the control plane, kubectl, Helm and kwok."""
    _skip_without(recipes((kubernetes,)))
    return Binaries(kubernetes)


@pytest.fixture(scope="session")
def helm_program() -> Path:
    """Say where Helm is, for tests that need no cluster."""
    _skip_without([HELM_RECIPE])
    return Binaries(NEWEST).helm


def _skip_without(wanted: list[Recipe]) -> None:
    if not missing(wanted):
        return
    what = "the test cluster's binaries (docs/test-cluster.md)"
    try:
        go = find_go()
    except NoGoError as error:
        pytest.skip(f"{what} are not built, and there is {error}")
    pytest.skip(f"{what} could not be built with {go}: `scripts/cluster build` says why")


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


@pytest.fixture(scope="session")
def real_cluster(binaries: Binaries) -> Iterator[Cluster]:
    """Run a whole cluster with two real nodes, `real-1` and `real-2`, and none that is played."""
    if reason := lacking():
        pytest.skip(reason)
    _skip_without([real_node(binaries.version)])
    with running(binaries, nodes=0, real_nodes=2) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def real_images(real_cluster: Cluster) -> Iterator[Path]:
    """Give an archive of our images and of a client's, for the nodes of the real cluster."""
    archive = real_cluster.kubeconfig.with_name("images.tar")
    write_images(archive)
    yield archive
    archive.unlink()


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
    with contextlib.suppress(RefusedError):  # A test may have deleted it itself.
        await admin.delete("Namespace", name)
