"""The same writes where the chart's node guard was left out: what the guard is for."""

from collections.abc import AsyncGenerator, Iterator

import pytest
import pytest_asyncio

from cluster.attacker import MADE, Field, battlefield
from cluster.attempts import Attempt, Control
from cluster.attempts_cluster import CLUSTER
from cluster.attempts_pods import PODS
from cluster.serving import install
from fakes.system import ask
from rolecall_proto.v1 import broker_pb2 as pb
from testcluster.binaries import Binaries
from testcluster.client import RefusedError
from testcluster.cluster import Cluster, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

ATTEMPTS = (*PODS, *CLUSTER)
GUARDED = [each for each in ATTEMPTS if each.control is Control.GUARD]


@pytest.fixture(scope="module")
def unguarded(binaries: Binaries) -> Iterator[Cluster]:
    """Run a cluster of its own: in the others the guard is for all tests."""
    with running(binaries) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def field(
    unguarded: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Field]:
    """Two nodes, an attacker on one of them, a server, and the other's agent; and no guard."""
    await install(unguarded, nodeGuard={"enabled": False})
    async with battlefield(unguarded, tmp_path_factory.mktemp("unguarded")) as field:
        yield field


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def nothing_stays(field: Field) -> AsyncGenerator[None]:
    """Take back what a test has changed."""
    yield
    await field.restore()


@pytest.mark.parametrize("attempt", [each for each in GUARDED if each.gives], ids=str)
async def test_a_node_has_its_pods_any_role(field: Field, attempt: Attempt) -> None:
    """Credentials and all: nothing but the guard was in the way."""
    async with field.hearing() as heard:
        await attempt.do(field)
        await heard.until(lambda: attempt.gives in heard.roles_of_granted())

    (session,) = {pod.session_id for pod in heard.pods.values() if pod.role == attempt.gives}
    assert heard.sessions[session].secret_access_key


@pytest.mark.parametrize("attempt", [each for each in GUARDED if not each.gives], ids=str)
async def test_a_mirror_pod_has_no_role_all_the_same(field: Field, attempt: Attempt) -> None:
    """Nor does any other change bring a role that was not there."""
    async with field.hearing() as heard:
        await attempt.do(field)

        await field.nothing_of_others(heard)
        assert (made := heard.of(MADE)) is None or made.state == pb.STATE_DENIED


@pytest.mark.parametrize(
    "attempt",
    [each for each in ATTEMPTS if each.said and each.control is not Control.GUARD],
    ids=str,
)
async def test_all_else_is_refused_as_ever(field: Field, attempt: Attempt) -> None:
    """By controls that are not ours."""
    async with field.hearing() as heard:
        with pytest.raises(RefusedError, match=attempt.said):
            await attempt.do(field)

        await field.nothing_of_others(heard)


async def test_the_server_says_so_aloud(field: Field) -> None:
    """In its log, as an error, and in a metric to be alarmed by."""
    line = await field.at.running("server").wait_line("the node guard is missing")
    _, metrics = await ask(field.at.port("server-admin"), "/metrics", "127.0.0.1")

    assert '"level": "error"' in line
    assert "rolecall_node_guard_in_place 0.0" in metrics.splitlines()
