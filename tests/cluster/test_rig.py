"""The test cluster itself: what other tests may take for granted."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network

import aiohttp
import pytest

from testcluster.binaries import Binaries
from testcluster.client import Client, Manifest, RefusedError
from testcluster.cluster import Cluster, running
from testcluster.commands import ISSUER
from testcluster.controlplane import BARE

pytestmark = pytest.mark.every_kubernetes

AUDIENCE = "rolecall"


def deployment(namespace: str, replicas: int) -> Manifest:
    labels = {"app": "web"}
    pod = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod},
    }


def pod(namespace: str, name: str, node: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "main"}]},
    }


def is_running(pod: Manifest) -> bool:
    return bool(pod["status"]["phase"] == "Running" and pod["status"].get("podIP"))


async def running_pod(admin: Client, namespace: str, name: str = "web") -> Manifest:
    await admin.create(pod(namespace, name, "node-1"))
    found = await admin.until("Pod", lambda pods: any(map(is_running, pods.values())), namespace)
    return found[name]


async def test_a_deployment_becomes_running_pods(admin: Client, namespace: str) -> None:
    """Its pods are made, bound to a node, and run with an address of that node's range."""

    def all_run(pods: Mapping[str, Manifest]) -> bool:
        return len(pods) == 3 and all(map(is_running, pods.values()))

    await admin.create(deployment(namespace, replicas=3))
    pods = await admin.until("Pod", all_run, namespace, labelSelector="app=web")

    ranges = {
        node["metadata"]["name"]: node["spec"]["podCIDR"] for node in await admin.find("Node")
    }
    for each in pods.values():
        assert ip_address(each["status"]["podIP"]) in ip_network(ranges[each["spec"]["nodeName"]])
    assert len({each["status"]["podIP"] for each in pods.values()}) == 3


async def test_a_deleted_pod_goes(admin: Client, namespace: str) -> None:
    """The node agrees at once to what the API server was asked for."""
    await running_pod(admin, namespace)
    await admin.delete("Pod", "web", namespace)

    assert await admin.until("Pod", lambda pods: not pods, namespace) == {}


async def test_a_token_says_whose_it_is(admin: Client, namespace: str) -> None:
    """A token that is bound to a pod is for its audience alone, and its review names the node."""
    web = await running_pod(admin, namespace)
    token = await admin.token("default", namespace, AUDIENCE, pod=web)

    review = await admin.review(token, AUDIENCE)
    assert review["authenticated"]
    assert review["user"]["username"] == f"system:serviceaccount:{namespace}:default"
    extra = review["user"]["extra"]
    assert extra["authentication.kubernetes.io/node-name"] == ["node-1"]
    assert extra["authentication.kubernetes.io/pod-uid"] == [web["metadata"]["uid"]]
    other = await admin.review(token, "other")
    assert not other.get("authenticated")


async def test_everybody_is_who_they_are(cluster: Cluster, admin: Client, namespace: str) -> None:
    """Certificates and tokens are known by the API server, and have no more rights than theirs."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    token = await admin.token("default", namespace, ISSUER)
    async with cluster.node("node-1") as node, cluster.bearer(token) as workload:
        for client, user in [
            (node, "system:node:node-1"),
            (workload, f"system:serviceaccount:{namespace}:default"),
        ]:
            answer = await client.create(review)

            assert answer["status"]["userInfo"]["username"] == user
            with pytest.raises(RefusedError) as refused:
                await client.find("Secret", namespace)
            assert refused.value.status == 403


async def test_a_node_reaches_its_own_pods_alone(
    cluster: Cluster, admin: Client, namespace: str
) -> None:
    """A kubelet's credentials read and change the pods of that node, and no other's."""
    await running_pod(admin, namespace)
    change = {"status": {"message": "seen"}}
    async with cluster.node("node-1") as own, cluster.node("node-2") as other:
        await own.patch("Pod", "web", change, namespace, subresource="status")
        with pytest.raises(RefusedError) as refused:
            await other.patch("Pod", "web", change, namespace, subresource="status")

    assert refused.value.reason == "Forbidden"
    web = await admin.get("Pod", "web", namespace)
    assert web["status"]["message"] == "seen"


async def test_kubectl_and_helm_reach_the_cluster(cluster: Cluster, namespace: str) -> None:
    """Both are the real programs, with the administrator's rights."""
    await cluster.apply(
        f"""
        apiVersion: v1
        kind: ConfigMap
        metadata: {{name: notes, namespace: {namespace}}}
        data: {{word: applied}}
        """
    )
    output = "--output=jsonpath={.data.word}"
    word = await cluster.kubectl("get", "configmap", "notes", "--namespace", namespace, output)

    assert word == "applied"
    assert await cluster.helm("list", "--short", "--namespace", namespace) == ""


async def test_an_outage_keeps_what_there_was(bare_cluster: Cluster) -> None:
    """Without the API server nothing answers; it comes back where it was, with all its data."""
    name = "kept-over-an-outage"
    async with bare_cluster.admin() as admin:
        await admin.create_namespace(name)
        async with bare_cluster.outage():
            with pytest.raises(aiohttp.ClientConnectionError):
                await admin.get("Namespace", name)

        kept = await admin.get("Namespace", name)
        assert kept["metadata"]["name"] == name
        await admin.delete("Namespace", name)


async def test_pods_run_right_after_an_outage(
    cluster: Cluster, admin: Client, namespace: str
) -> None:
    """What acts on the API server does so at once; by itself it might ask again a minute later."""

    def all_run(pods: Mapping[str, Manifest]) -> bool:
        return len(pods) == 3 and all(map(is_running, pods.values()))

    before = {each.name: each for each in cluster.control_plane.processes}
    former = await running_pod(admin, namespace)
    async with cluster.outage():
        pass
    after = {each.name: each for each in cluster.control_plane.processes}
    await admin.create(deployment(namespace, replicas=2))
    pods = await admin.until("Pod", all_run, namespace)

    assert after.keys() == before.keys()
    # Another kwok would wait for the end of this one's leases.
    assert {name for name in before if after[name] == before[name]} == {"etcd", "kwok"}
    addresses = [pod["status"]["podIP"] for pod in pods.values()]
    assert former["status"]["podIP"] in addresses
    assert len(set(addresses)) == len(addresses)


def test_nothing_is_left(binaries: Binaries) -> None:
    """Neither a process nor a file of a cluster is there after its end."""
    with running(binaries, BARE) as cluster:
        folder = cluster.kubeconfig.parent
        processes = cluster.control_plane.processes
        assert [process.name for process in processes] == list(BARE)
        assert all(process.is_running for process in processes)

    assert not folder.exists()
    assert not any(process.is_running for process in processes)
