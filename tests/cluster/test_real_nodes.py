"""On real nodes, from the chart and the images: what pods get, and what they do not get."""

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from cluster.grounds import METADATA, PATIENCE, Grounds, client_pod, deployment, placed
from cluster.takeover import TAKEOVER
from testcluster.client import Manifest
from testcluster.cluster import CommandError

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    # The first one waits for images to be imported and for the chart's pods.
    pytest.mark.timeout(600),
]

LIST = f"http://{METADATA}/latest/meta-data/iam/security-credentials/"
SESSION = "arn:aws:sts::111122223333:assumed-role"
WHO = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
# What curl says where no answer comes.
CURL = ("curl", "--silent", "--max-time", "2", "--write-out", " %{http_code}")
SERVERS = 2  # The chart's replicas; each asks STS for the nodes whose agents have chosen it.
# What a pod meets with another's address: its packets are dropped, or its request waits in vain.
IN_VAIN = {"TimeoutError", "503"}


@pytest_asyncio.fixture(loop_scope="session")
async def shop(grounds: Grounds) -> AsyncGenerator[str]:
    """Make a namespace that permits roles which begin with `shop-`; its pods go with it."""
    await grounds.make_namespace("shop", "shop-.*")
    yield "shop"
    await grounds.admin.delete("Namespace", "shop")
    await grounds.admin.until("Namespace", lambda found: "shop" not in found, patience=PATIENCE)


async def curl(grounds: Grounds, pod: str, *words: str) -> tuple[str, str]:
    """Let a pod of the shop ask; return the body and the status, 000 where nobody answered."""
    try:
        said = await grounds.run_in("shop", pod, *CURL, *words)
    except CommandError:
        return "", "000"
    body, _, status = said.rpartition(" ")
    return body, status


async def make_pods(grounds: Grounds, *pods: Manifest) -> dict[str, str]:
    """Make pods of the shop; return their addresses once all run."""
    for pod in pods:
        await grounds.admin.create(placed(pod, "shop"))
    found = await grounds.until_running("shop", len(pods))
    return {name: pod["status"]["podIP"] for name, pod in found.items()}


async def test_the_pods_of_a_deployment_get_their_role(grounds: Grounds, shop: str) -> None:
    """On each node boto3, the AWS CLI and curl find it where they look by themselves."""
    before = await grounds.sts_calls()
    await grounds.admin.create(placed(deployment("orders", "shop-orders", replicas=4), shop))
    pods = await grounds.until_running(shop, 4)
    assert {pod["spec"]["nodeName"] for pod in pods.values()} == {"real-1", "real-2"}
    mine = f"{SESSION}/shop-orders/shop.default"

    for name in pods:
        assert (await grounds.run_in(shop, name, "python", "-c", WHO)).strip() == mine
        told = await grounds.run_in(shop, name, "aws", "sts", "get-caller-identity")
        assert json.loads(told)["Arn"] == mine
        assert await curl(grounds, name, LIST) == ("shop-orders", "200")
    after = await grounds.sts_calls()
    # They are the same service in the same namespace, and share one session of each server.
    assert after["shop-orders"] - before.get("shop-orders", 0) in {1, SERVERS}


@pytest.mark.usefixtures("shop")
async def test_each_pod_has_its_own_role_and_no_other(grounds: Grounds) -> None:
    """Neither a neighbour's nor a role of the other node; and none that it was not given."""
    roles = {"a": "shop-a", "b": "shop-b", "c": "shop-c", "none": None, "forbidden": "bank-x"}
    where = {"a": "real-1", "b": "real-1", "c": "real-2", "none": "real-1", "forbidden": "real-2"}
    pods = [client_pod(name, role, where[name]) for name, role in roles.items()]
    await make_pods(grounds, *pods)

    for name, role in roles.items():
        for other in filter(None, roles.values()):
            body, status = await curl(grounds, name, LIST + other)
            if other == role and role.startswith("shop-"):
                assert (status, json.loads(body)["Code"]) == ("200", "Success")
            else:
                assert status == "404"
                assert "AccessKeyId" not in body


@pytest.mark.usefixtures("shop")
async def test_no_pod_reaches_the_service_of_its_node(grounds: Grounds) -> None:
    """Whatever it tries, only what the agent passes on was asked for, and by the agent."""
    await make_pods(grounds, client_pod("a", "shop-a", "real-1"), client_pod("b", None, "real-2"))
    imds = grounds.imds
    before = len(imds.requests)
    offered = {path for path in imds.values if "placement" in path or "services" in path}
    offered |= {f"/latest/meta-data/{name}" for name in ("instance-id", "instance-type")}

    for pod in ("a", "b"):
        for path in ("user-data", "meta-data/iam/info", "dynamic/instance-identity/document"):
            body, _ = await curl(grounds, pod, f"http://{METADATA}/latest/{path}")
            assert "secret" not in body
        body, _ = await curl(grounds, pod, LIST + "node-role")
        assert "AccessKeyId" not in body
        for place in (f"{METADATA}:8080", f"{METADATA}:443", "169.254.170.169:9803"):
            assert await curl(grounds, pod, f"http://{place}/latest/user-data") == ("", "000")
    asked = {head.split()[1] for head in imds.requests[before:]}
    assert asked <= {*offered, "/latest/api/token"}

    # It is there, and the node itself reaches it.
    for node in grounds.nodes:
        url = f"http://{METADATA}/latest/user-data"
        header = f"X-aws-ec2-metadata-token: {max(imds.tokens)}"
        said = await asyncio.to_thread(node.run, "curl", "-sS", "--header", header, url)
        assert said == imds.values["/latest/user-data"]


def attacker(name: str, node: str) -> Manifest:
    """Return a pod that may do to its own network whatever it likes."""
    pod = client_pod(name, None, node)
    pod["spec"]["containers"][0]["securityContext"] = {"capabilities": {"add": ["NET_ADMIN"]}}
    return pod


async def taken_over(grounds: Grounds, thief: str, victim: str, *flags: str) -> set[str]:
    """Let a pod take over the address of another; return what came of its tries."""
    said = await grounds.run_in("shop", thief, "python", "-c", TAKEOVER, victim, *flags)
    return set(said.splitlines())


@pytest.mark.usefixtures("shop")
async def test_an_address_of_another_pod_gives_nothing(grounds: Grounds) -> None:
    """Neither on the same node nor on another, whether pods are routed to or on a bridge."""
    victims = [client_pod("a", "shop-a", "real-1"), client_pod("b", "shop-b", "real-2")]
    thieves = [attacker("x", "real-1"), attacker("y", "real-2")]
    addresses = await make_pods(grounds, *victims, *thieves)

    for victim in ("a", "b"):
        assert await curl(grounds, victim, LIST) == (f"shop-{victim}", "200")
    for thief in ("x", "y"):
        for victim in ("a", "b"):
            assert await taken_over(grounds, thief, addresses[victim]) <= IN_VAIN


@pytest.mark.usefixtures("shop")
async def test_a_pod_that_answers_for_its_neighbour_on_a_bridge_gets_nothing(
    grounds: Grounds,
) -> None:
    """It makes its node believe that the address is its own; the bridge's ports know better."""
    victim = client_pod("b", "shop-b", "real-2")
    addresses = await make_pods(grounds, victim, attacker("y", "real-2"))

    assert await curl(grounds, "b", LIST) == ("shop-b", "200")
    outcomes = await taken_over(grounds, "y", addresses["b"], "announce")
    assert outcomes <= IN_VAIN
    assert "503" in outcomes  # Or it has not reached the endpoint.
