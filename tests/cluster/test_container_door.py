"""The container endpoint in a cluster: tokens that a real API server issues for real pods."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from cluster.serving import AUDIENCE, Serving, pod_token
from cluster.test_deployments import NODE, OTHER, bare_pod
from fakes.example import container_pod, environment_of, token_of
from fakes.system import BASE, REGION, ask
from testcluster.client import Manifest

PATH = "/v1/credentials"
ENDPOINTS = "rolecall-credentials"
SDK = """
import boto3
session = boto3.Session()
keys = session.get_credentials()
print(keys.method, session.client("sts").get_caller_identity()["Arn"], flush=True)
"""


def asking_pod(namespace: str, name: str, role: str | None = "reader") -> Manifest:
    """Return a pod with the documentation's token: a kubelet gets no other for it."""
    manifest = bare_pod(namespace, name, role or "")
    if role is None:
        del manifest["metadata"]["annotations"]
    manifest["spec"]["volumes"] = container_pod()["spec"]["volumes"]
    return manifest


async def placed(at: Serving, namespace: str, name: str) -> Manifest:
    """Return the pod *name* once it has an address, as a kubelet gives it one."""

    def holds(pods: Mapping[str, Manifest]) -> bool:
        return bool(pods.get(name, {}).get("status", {}).get("podIP"))

    pods = await at.admin.until("Pod", holds, namespace)
    return pods[name]


async def token(at: Serving, pod: Manifest) -> str:
    """Return the token that is projected into *pod*, as its node's kubelet asks for it."""
    projected = token_of(pod)
    audience, seconds = projected["audience"], projected["expirationSeconds"]
    return await pod_token(at.cluster, NODE, pod, audience, seconds)


async def answered(at: Serving, shown: str, node: str = NODE) -> tuple[int, dict[str, Any]]:
    header = f"Authorization: {shown}\r\n"
    status, body = await ask(at.port(f"{node}-container"), PATH, "127.0.0.1", header)
    return status, json.loads(body)


async def until(at: Serving, shown: str, status: int, node: str = NODE) -> dict[str, Any]:
    """Ask again while the answer is "not yet", as SDKs do."""
    for _ in range(20):
        found, body = await answered(at, shown, node)
        if found != 503:
            break
    assert (found, body) == (status, body)
    return body


@pytest.mark.every_kubernetes
async def test_the_pod_of_the_documentation_gets_its_role(at: Serving, apps: str) -> None:
    """Its environment and its token are what an unmodified SDK needs, and all that it needs."""
    await at.start_everything(NODE)
    example = container_pod()
    example["spec"]["nodeSelector"] = {"kubernetes.io/hostname": NODE}
    example["metadata"]["namespace"] = apps
    await at.cluster.apply(yaml.safe_dump(example))
    pod = await placed(at, apps, example["metadata"]["name"])
    environment = environment_of(pod)
    file = at.root / "pod-token"
    file.write_text(await token(at, pod))
    uri = environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    endpoint = f"127.0.0.1:{at.port(f'{NODE}-container')}"
    sdk = await at.run(
        "sdk", "-c", SDK,
        AWS_CONTAINER_CREDENTIALS_FULL_URI=uri.replace("169.254.170.23:9804", endpoint),
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(file),
        AWS_ENDPOINT_URL_STS=f"http://127.0.0.1:{at.port('sts')}",
        AWS_DEFAULT_REGION=REGION,
    )  # fmt: skip

    assert await sdk.ended() == 0, sdk.err[-1]
    arn = f"arn:aws:sts::111122223333:assumed-role/reader/{apps}.default"
    assert sdk.out == [f"container-role {arn}"]
    served = json.loads(await at.running(NODE).wait_line("first_serve"))
    assert (served["endpoint"], served["pod"]) == ("container", "report")


@pytest.mark.every_kubernetes
async def test_a_pod_on_the_hosts_network_gets_its_role(at: Serving, apps: str) -> None:
    """By its token; its address is the node's own and gets nothing."""
    await at.start_everything(NODE)
    manifest = asking_pod(apps, "host")
    manifest["spec"]["hostNetwork"] = True
    await at.admin.create(manifest)
    pod = await placed(at, apps, "host")
    body = await until(at, await token(at, pod), 200)

    assert body["RoleArn"] == BASE + "reader"
    assert body["AccountId"] == "111122223333"


async def test_a_token_is_good_on_its_own_node_only(at: Serving, apps: str) -> None:
    """Another node's agent knows the keys, and neither the pod nor the node of the token."""
    await at.start_everything(NODE, OTHER)
    await at.admin.create(asking_pod(apps, "web"))
    pod = await placed(at, apps, "web")
    shown = await token(at, pod)
    await until(at, shown, 200)

    assert (await answered(at, shown, OTHER))[0] == 401


async def test_tokens_for_others_are_refused(at: Serving, apps: str) -> None:
    """Of the API server, of agents, of accounts without a pod, and what somebody has changed."""
    await at.start_everything(NODE)
    await at.admin.create(asking_pod(apps, "web"))
    pod = await placed(at, apps, "web")
    good = await token(at, pod)
    await until(at, good, 200)
    head, payload, signature = good.split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=="))
    said["exp"] += 86400
    longer = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    bad = [
        await at.admin.token("default", apps, AUDIENCE, pod=pod),
        await at.admin.token("default", apps, said["iss"], pod=pod),
        await at.agent_token(NODE),
        await at.admin.token("default", apps, ENDPOINTS),
        f"{head}.{longer}.{signature}",
    ]

    assert [(await answered(at, each))[0] for each in bad] == [401] * len(bad)
    assert (await answered(at, f"Bearer {good}"))[0] == 200


async def test_both_endpoints_agree_on_a_denial(at: Serving, apps: str) -> None:
    """What the namespace forbids, and what no annotation asks for."""
    await at.start_everything(NODE)
    only = {"metadata": {"annotations": {"iam.amazonaws.com/allowed-roles": '["reader"]'}}}
    await at.admin.patch("Namespace", apps, only)
    await at.admin.create(asking_pod(apps, "web", "admin"))
    await at.admin.create(asking_pod(apps, "plain", None))
    for name in ("web", "plain"):
        pod = await placed(at, apps, name)
        await at.until_refused(NODE, pod["status"]["podIP"])

        assert (await until(at, await token(at, pod), 404))["code"] == "NoCredentials"


async def test_a_deleted_pods_token_is_worth_nothing(at: Serving, apps: str) -> None:
    """It is signed, and in force for an hour: what is missing is the pod."""
    await at.start_everything(NODE)
    await at.admin.create(asking_pod(apps, "web"))
    pod = await placed(at, apps, "web")
    shown = await token(at, pod)
    await until(at, shown, 200)
    await at.admin.delete("Pod", "web", apps, grace=0)
    await at.until_unknown(NODE, pod["status"]["podIP"])

    assert (await answered(at, shown))[0] == 503
