"""A Deployment with the annotation in its template gets its role, whatever becomes of it."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from cluster.serving import PERMITS, ROLE, SPACE, Serving, loopback_node
from fakes.system import LIST
from testcluster.client import Manifest

NODE, OTHER = "node-101", "node-102"
PATIENCE = 180.0  # seconds, for a thousand pods to come or to go


def deployment(
    namespace: str,
    role: str | None = "reader",
    replicas: int = 1,
    name: str = "web",
    node: str | None = NODE,
    **pod_spec: Any,  # noqa: ANN401 - as the API has it
) -> Manifest:
    labels = {"app": name}
    notes = {} if role is None else {ROLE: role}
    chosen = {"nodeSelector": {"kubernetes.io/hostname": node}} if node else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": notes},
                "spec": {
                    "containers": [{"name": "web", "image": "web"}],
                    "terminationGracePeriodSeconds": 1,
                    **chosen,
                    **pod_spec,
                },
            },
        },
    }


def running(count: int) -> Any:  # noqa: ANN401 - a predicate
    def holds(pods: Mapping[str, Manifest]) -> bool:
        return len(pods) == count and all(pod["status"].get("podIP") for pod in pods.values())

    return holds


async def pods_of(at: Serving, namespace: str, count: int = 1, app: str = "web") -> dict[str, str]:
    """Return the addresses of the *count* pods of *app* by name, once they are that many."""
    pods = await at.admin.until("Pod", running(count), namespace, labelSelector=f"app={app}")
    return {name: pod["status"]["podIP"] for name, pod in pods.items()}


def bare_pod(namespace: str, name: str, role: str = "reader", node: str = NODE) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app": name},
            "annotations": {ROLE: role},
        },
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "main"}]},
    }


async def gone(at: Serving, namespace: str, app: str = "web") -> None:
    """Return once no pod of *app* is left."""
    await at.admin.until("Pod", lambda pods: not pods, namespace, labelSelector=f"app={app}")


async def annotate(at: Serving, namespace: str, role: str) -> None:
    """Change the template of the Deployment: its pods are replaced."""
    template = {"metadata": {"annotations": {ROLE: role}}}
    await at.admin.patch("Deployment", "web", {"spec": {"template": template}}, namespace)


async def test_what_kubectl_applies_is_served(at: Serving, apps: str) -> None:
    """Controller manager and scheduler make the pod; the agent of its node has its credentials."""
    await at.start_everything(NODE, OTHER)
    await at.cluster.apply(yaml.safe_dump(deployment(apps)))
    [address] = (await pods_of(at, apps)).values()
    document = await at.until_given(NODE, address, "reader")

    assert document["AccessKeyId"].startswith("ASIA")
    assert await at.calls() == {"reader": 1}
    # The other node was never told of it: from there the address is nobody's.
    assert (await at.ask(OTHER, LIST, address))[0] == 503


@pytest.mark.every_kubernetes
async def test_a_rollout_to_a_new_role(at: Serving, apps: str) -> None:
    """New pods get the new role, and the old role goes with the last old pod."""
    await at.start_everything(NODE)
    await at.admin.create(deployment(apps, replicas=3))
    old = await pods_of(at, apps, 3)
    for address in old.values():
        await at.until_given(NODE, address, "reader")

    await annotate(at, apps, "writer")
    await at.admin.until(
        "Pod",
        lambda pods: len(pods) == 3 and not pods.keys() & old.keys() and running(3)(pods),
        apps,
        labelSelector="app=web",
    )
    new = await pods_of(at, apps, 3)
    for address in new.values():
        await at.until_given(NODE, address, "writer")
    for address in old.values():
        if address not in new.values():
            await at.until_unknown(NODE, address)

    assert await at.calls() == {"reader": 1, "writer": 1}


async def test_an_annotation_that_changes_on_a_running_pod(at: Serving, apps: str) -> None:
    """The pod has the new role, and not the old one, from then on."""
    await at.start_everything(NODE)
    await at.admin.create(deployment(apps))
    [(name, address)] = (await pods_of(at, apps)).items()
    await at.until_given(NODE, address, "reader")

    await at.admin.patch("Pod", name, {"metadata": {"annotations": {ROLE: "writer"}}}, apps)
    await at.until_given(NODE, address, "writer")

    assert (await at.ask(NODE, f"{LIST}reader", address))[0] == 404


async def test_a_namespace_that_stops_permitting_and_permits_again(at: Serving, apps: str) -> None:
    """The rule holds for pods that run already, at once and both ways."""
    await at.start_everything(NODE)
    await at.admin.create(deployment(apps))
    [address] = (await pods_of(at, apps)).values()
    await at.until_given(NODE, address, "reader")

    nothing = {"metadata": {"annotations": {"iam.amazonaws.com/allowed-roles": "[]"}}}
    await at.admin.patch("Namespace", apps, nothing)
    await at.until_refused(NODE, address)
    await at.admin.patch("Namespace", apps, {"metadata": {"annotations": PERMITS}})
    await at.until_given(NODE, address, "reader")


async def test_an_evicted_pod_is_replaced(at: Serving, apps: str) -> None:
    """The eviction API is a deletion like another: its successor is served by the same session."""
    await at.start_everything(NODE)
    await at.admin.create(deployment(apps))
    [(name, address)] = (await pods_of(at, apps)).items()
    first = await at.until_given(NODE, address, "reader")

    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": apps},
    }
    await at.admin.request("POST", f"/api/v1/namespaces/{apps}/pods/{name}/eviction", eviction)
    await at.admin.until(
        "Pod", lambda pods: name not in pods and running(1)(pods), apps, labelSelector="app=web"
    )
    [successor] = (await pods_of(at, apps)).values()

    assert (await at.until_given(NODE, successor, "reader")) == first
    assert await at.calls() == {"reader": 1}


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_pod_that_finishes_has_no_role_any_more(at: Serving, apps: str, phase: str) -> None:
    """Its object stays for days; its address may be another pod's in a moment."""
    await at.start_everything(NODE)
    await at.admin.create(bare_pod(apps, "job"))
    [address] = (await pods_of(at, apps, app="job")).values()
    await at.until_given(NODE, address, "reader")

    await at.admin.patch("Pod", "job", {"status": {"phase": phase}}, apps, subresource="status")
    await at.until_unknown(NODE, address)


async def test_an_address_that_is_used_again_is_the_new_pods(at: Serving, apps: str) -> None:
    """Whoever has it now is answered with their own role, however soon after."""
    await at.start_everything(NODE)
    addresses = []
    for role in ("reader", "writer", "auditor", "deployer", "billing", "backup"):
        await at.admin.create(bare_pod(apps, "job", role))
        [address] = (await pods_of(at, apps, app="job")).values()
        await at.until_given(NODE, address, role)
        addresses.append(address)
        await at.admin.delete("Pod", "job", apps, grace=0)
        await gone(at, apps, "job")

    # kwok gives an address that was freed, or the next one.
    assert len(set(addresses)) < len(addresses)


async def test_a_node_that_is_deleted_takes_its_agent_along(at: Serving, apps: str) -> None:
    """With the agent's pod its stream ends, and its token lets nobody in any more."""
    number = 103
    await at.admin.create(loopback_node(number))
    node = f"node-{number}"
    await at.start_everything(node)
    await at.admin.create(deployment(apps, node=node))
    [address] = (await pods_of(at, apps)).values()
    await at.until_given(node, address, "reader")

    await at.admin.delete("Node", node)
    pod = await at.agent_pod(node)
    await at.admin.delete("Pod", pod["metadata"]["name"], SPACE, grace=0)
    await at.running(node).wait_line("the stream ended", "not on this node any more")
    await at.running("server").wait_line("an agent's call was refused")


@pytest.mark.timeout(600)
async def test_a_thousand_replicas_and_back(at: Serving, apps: str) -> None:
    """One role is one session, however many pods; what scales down is forgotten."""
    numbers = (104, 105, 106, 107, 108)  # 250 pods each, the agents among them.
    nodes = [f"node-{number}" for number in numbers]
    for number in numbers:
        await at.admin.create(loopback_node(number))
    try:
        await at.start_everything(nodes[0])
        label = {"metadata": {"labels": {"many": "yes"}}}
        for node in nodes:
            await at.admin.patch("Node", node, label)
        many = deployment(apps, replicas=1000, node=None, nodeSelector={"many": "yes"})
        await at.admin.create(many)
        pods = await at.admin.until("Pod", running(1000), apps, patience=PATIENCE)
        here = [each for each in pods.values() if each["spec"]["nodeName"] == nodes[0]]
        for pod in here:
            await at.until_given(nodes[0], pod["status"]["podIP"], "reader")

        await at.admin.patch("Deployment", "web", {"spec": {"replicas": 0}}, apps)
        await at.admin.until("Pod", running(0), apps, patience=PATIENCE)
        await at.until_unknown(nodes[0], here[0]["status"]["podIP"])

        assert len(here) > 100
        assert await at.calls() == {"reader": 1}
    finally:
        for node in nodes:
            await at.admin.delete("Node", node)
