"""A Deployment with the annotation in its template gets its role, whatever becomes of it."""

from collections.abc import Mapping
from typing import Any

from cluster.serving import ROLE, Serving
from fakes.system import LIST
from testcluster.client import Manifest

NODE, OTHER = "node-101", "node-102"


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


async def test_what_kubectl_applies_is_served(at: Serving, apps: str) -> None:
    """Controller manager and scheduler make the pod; the agent of its node has its credentials."""
    await at.start_everything(NODE, OTHER)
    await at.admin.create(deployment(apps))
    [address] = (await pods_of(at, apps)).values()
    document = await at.until_given(NODE, address, "reader")

    assert document["AccessKeyId"].startswith("ASIA")
    assert await at.calls() == {"reader": 1}
    # The other node was never told of it: from there the address is nobody's.
    assert (await at.ask(OTHER, LIST, address))[0] == 503
