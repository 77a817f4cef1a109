"""Real SDKs in real pods: network namespaces that ask the real 169.254.169.254 of a real agent."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from lab import programs
from lab.rig import PATIENCE, ROLES, Rig, rig
from rolecall_cli.lab import LabError
from rolecall_server.model.pods import Pod

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMESPACES = """
kind: Namespace
metadata: {name: shop, annotations: {iam.amazonaws.com/permitted: '.*:role/shop-.*'}}
---
kind: Namespace
metadata: {name: sandbox}
"""
POD = """
kind: Pod
metadata: {name: %s, namespace: %s, annotations: {%s}}
"""
STRANGER = "10.77.250.250"


def manifest(name: str, role: str | None = None, namespace: str = "shop") -> str:
    return POD % (name, namespace, f"iam.amazonaws.com/role: {role}" if role else "")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rig]:
    """One node for all tests: each has pods of its own."""
    root: Path = tmp_path_factory.mktemp("lab")
    try:
        async with rig(root) as opened:
            await opened.apply("namespaces", NAMESPACES)
            await opened.apply("reader", manifest("reader", "shop-reader"))
            await opened.apply("none", manifest("none"))
            await opened.apply("denied", manifest("denied", "shop-reader", "sandbox"))
            await opened.until("reader", "shop-reader")
            yield opened
    except LabError as error:
        pytest.skip(f"no network namespaces here: {error}")


@pytest.fixture(params=["aws", "raw", *programs.PROGRAMS])
def client(request: pytest.FixtureRequest, node: Rig) -> str:
    name: str = request.param
    if name in programs.PROGRAMS:
        try:
            programs.command(name)
        except programs.NoProgramError as error:
            pytest.skip(str(error))
    if name == "aws" and node.aws_cli is None:
        pytest.skip("no AWS CLI here: scripts/test installs one, and names it in TEST_AWS_CLI")
    return name


async def test_a_pod_has_its_role(node: Rig, client: str) -> None:
    """What its annotation names and its namespace permits."""
    assert await node.role(client, "reader") == "shop-reader"


async def test_a_pod_without_a_role_has_nothing(node: Rig, client: str) -> None:
    """No annotation, no credentials."""
    assert await node.role(client, "none") is None


async def test_a_denied_pod_has_nothing(node: Rig, client: str) -> None:
    """The namespace does not permit the role."""
    assert await node.role(client, "denied") is None


async def test_an_unknown_address_has_nothing(node: Rig, client: str) -> None:
    """No pod of any manifest has this address."""
    await _stranger(node)

    assert await node.role(client, "stranger") is None


async def test_a_role_changes_under_a_running_pod(node: Rig, client: str) -> None:
    """Its next session has the new role."""
    name = f"changing-{client}"
    await node.apply(name, manifest(name, "shop-reader"))
    await node.until(name, "shop-reader")
    await node.apply(name, manifest(name, "shop-writer"))
    await node.until(name, "shop-writer")

    assert await node.role(client, name) == "shop-writer"


async def test_a_deleted_pod_has_nothing(node: Rig, client: str) -> None:
    """Its address still asks, and gets nothing any more."""
    name = f"dying-{client}"
    await node.apply(name, manifest(name, "shop-reader"))
    await node.until(name, "shop-reader")
    node.delete(name)
    await node.until(name, None)

    assert await node.role(client, name) is None


async def test_an_agent_that_restarts_serves_as_before(node: Rig, client: str) -> None:
    """One snapshot after its start it is warm: the server has the sessions that it issued."""
    before = node.stage.calls()
    await node.stage.stop("agent")
    await node.stage.start("agent")
    await node.stage.wait_ready("agent")

    assert await node.role(client, "reader") == "shop-reader"
    assert await node.role(client, "denied") is None
    assert node.stage.calls() == before


async def test_pods_are_served_while_the_server_is_away(node: Rig, client: str) -> None:
    """Nobody notices that it stops, nor that it returns; and STS is asked for nothing again."""
    before = node.stage.calls()
    await node.stage.stop("server")
    assert await node.role(client, "reader") == "shop-reader"

    await node.stage.start("server")
    await node.stage.wait_ready("server")
    name = f"after-{client}"
    await node.apply(name, manifest(name, f"shop-{name}"))
    await node.until(name, f"shop-{name}")
    assert await node.role(client, "reader") == "shop-reader"
    assert [str(role).rpartition("/")[2] for role in node.stage.calls()[len(before) :]] == [
        f"shop-{name}"
    ]


async def test_another_role_is_refused_like_one_that_is_not(node: Rig) -> None:
    """Asking by name gives away nothing: a role of others and none at all look the same."""
    other, missing, denied = [
        *await node.ask("reader", ("GET", f"{ROLES}shop-writer"), ("GET", f"{ROLES}nonsense")),
        *await node.ask("denied", ("GET", f"{ROLES}shop-reader")),
    ]

    assert [other["status"], missing["status"], denied["status"]] == [404, 404, 404]
    assert other["body"] == missing["body"] == denied["body"] == ""


async def test_a_stranger_is_held_and_then_refused(node: Rig) -> None:
    """503 at 0.9 s, while an SDK still waits; a busy machine says so later."""
    await _stranger(node)
    (answer,) = await node.ask("stranger", ("GET", ROLES))

    assert answer["status"] == 503
    assert answer["seconds"] > 0.85


async def test_a_token_is_good_for_its_own_pod_only(node: Rig) -> None:
    """The proof is the address that it was given to."""
    ttl = "X-aws-ec2-metadata-token-ttl-seconds: 60"
    (given,) = await node.ask("reader", ("PUT", "/latest/api/token", ttl))
    shown = f"X-aws-ec2-metadata-token: {given['body']}"
    (own,) = await node.ask("reader", ("GET", ROLES, shown))
    (foreign,) = await node.ask("none", ("GET", ROLES, shown))

    assert (own["status"], own["body"]) == (200, "shop-reader")
    assert foreign["status"] == 401


async def test_replicas_share_one_session(node: Rig) -> None:
    """Two pods of one Deployment have the same credentials: one call of STS."""
    calls = len(node.stage.calls())
    pods = await node.apply("shared", _deployment("shared", 2))
    for pod in pods:
        await node.until(pod.name, "shop-shared")

    keys = {await _key(node, pod.name, "shop-shared") for pod in pods}
    assert len(pods) == 2
    assert len(keys) == 1
    assert len(node.stage.calls()) == calls + 1


async def test_an_address_that_is_used_again_has_the_new_role(node: Rig) -> None:
    """The pod that has it now is served its own role, and never its predecessor's."""
    (first,) = await node.apply("first", manifest("first", "shop-first"))
    await node.until("first", "shop-first")
    await node.node.remove_pod("first")
    node.delete("first")
    text = manifest("second", "shop-second") + _at(first)
    await node.apply("second", text)
    seen = set()
    async with asyncio.timeout(PATIENCE):
        while "shop-second" not in seen:
            (answer,) = await node.ask("second", ("GET", ROLES))
            seen.add(answer["body"])

    (document,) = await node.ask("second", ("GET", f"{ROLES}shop-first"))
    assert document["status"] == 404


async def test_a_pod_that_comes_after_its_request_is_served(node: Rig) -> None:
    """The request waits for the pod to arrive, or is told to ask again where that takes long."""
    (pod,) = await node.apply("early", manifest("early", "shop-early"))
    async with asyncio.timeout(PATIENCE):
        while True:
            (answer,) = await node.ask("early", ("GET", ROLES))
            if answer["status"] != 503:
                break

    assert pod.name == "early"
    assert (answer["status"], answer["body"]) == (200, "shop-early")


async def _stranger(node: Rig) -> None:
    if "stranger" not in node.others:
        await node.add_other("stranger", STRANGER)


async def _key(node: Rig, pod: str, role: str) -> str:
    (document,) = await node.ask(pod, ("GET", ROLES + role))
    return str(json.loads(document["body"])["AccessKeyId"])


def _deployment(name: str, replicas: int) -> str:
    return f"""
kind: Deployment
metadata: {{name: {name}, namespace: shop}}
spec:
  replicas: {replicas}
  template: {{metadata: {{annotations: {{iam.amazonaws.com/role: shop-{name}}}}}}}
"""


def _at(pod: Pod) -> str:
    return f"status: {{podIP: {pod.addresses[0]}}}\n"
