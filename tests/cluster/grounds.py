"""Rolecall on real nodes: the chart and its images as they are, and pods that ask by themselves.

The strict STS fake stands beside the nodes, where servers and pods reach it.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chart.rendering import CHART
from fakes.imds import FakeImds
from fakes.system import BASE, KEY_ID, OWN_KEY, REGION
from testcluster.client import Client, Manifest
from testcluster.cluster import Cluster, CommandError
from testcluster.images.ours import AGENT_IMAGE, CLIENT_IMAGE, SERVER_IMAGE
from testcluster.machines.addresses import SITE
from testcluster.machines.fleet import Fleet
from testcluster.machines.machine import Machine

RELEASE, SPACE = "rolecall", "rolecall-system"
ROLE = "iam.amazonaws.com/role"
PERMITTED = "iam.amazonaws.com/permitted"
METADATA = "169.254.169.254"
PATIENCE = 120.0  # seconds: kubelets start and end pods one after the other
_STS_PORT = 9911
STS = f"http://{SITE}:{_STS_PORT}"
_TESTS = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Grounds:
    """Real nodes with Rolecall on them."""

    cluster: Cluster
    admin: Client
    # The nodes' real metadata service, which no pod must meet.
    imds: FakeImds

    @property
    def fleet(self) -> Fleet:
        fleet = self.cluster.control_plane.fleet
        assert fleet is not None
        return fleet

    @property
    def nodes(self) -> list[Machine]:
        return self.fleet.machines

    async def install(self, *flags: str, **values: Any) -> None:  # noqa: ANN401 - the chart's values
        """Install or upgrade the release, and wait until all of its pods are ready."""
        try:
            await self.cluster.helm(
                *("upgrade", "--install", RELEASE, str(CHART), "--namespace", SPACE),
                *("--create-namespace", "--wait", "--timeout", "300s", "--values", "-", *flags),
                given=json.dumps(_merged(VALUES, values)),
            )
        except CommandError as error:
            raise CommandError(f"{error}\n{await self._condition()}") from error

    async def _condition(self) -> str:
        """Return how the release's pods are, and the end of what they said."""
        every = ("--selector=app.kubernetes.io/instance=rolecall", "--all-containers")
        how = (f"--namespace={SPACE}", "--prefix", "--tail=5", "--ignore-errors")
        pods = await self.cluster.kubectl("get", "pods", "--output=wide", f"--namespace={SPACE}")
        return f"{pods}\n{await self.cluster.kubectl('logs', *every, *how)}"

    async def make_namespace(self, name: str, permitted: str) -> None:
        """Make a namespace that permits the roles that match *permitted*, below the base."""
        await self.admin.create_namespace(name)
        rule = {"metadata": {"annotations": {PERMITTED: BASE + permitted}}}
        await self.admin.patch("Namespace", name, rule)

    async def run_in(self, namespace: str, pod: str, *command: str) -> str:
        """Run a command in a pod's container and return what it printed; raises CommandError."""
        return await self.cluster.kubectl("exec", f"--namespace={namespace}", pod, "--", *command)

    async def logs(self, namespace: str, pod: str, *flags: str) -> str:
        return await self.cluster.kubectl("logs", f"--namespace={namespace}", pod, *flags)

    async def until_running(self, namespace: str, count: int, **query: str) -> dict[str, Manifest]:
        """Return the pods of a namespace by their names, once there are *count*, all ready."""

        def run(pods: Mapping[str, Manifest]) -> bool:
            return len(pods) == count and all(map(_is_ready, pods.values()))

        return await self.admin.until("Pod", run, namespace, patience=PATIENCE, **query)

    async def sts_calls(self) -> dict[str, int]:
        """Return how often STS was asked for each role."""
        told = await asyncio.to_thread(self.fleet.site.run, "curl", "-sS", f"{STS}/_fake/calls")
        counts: dict[str, int] = json.loads(told)["roles"]
        return {arn.removeprefix(BASE): count for arn, count in counts.items()}


VALUES: dict[str, Any] = {
    "server": {
        "image": dict(zip(("repository", "tag"), SERVER_IMAGE.rsplit(":", 1), strict=True)),
        "settings": {"baseArn": BASE, "region": REGION, "stsEndpoint": STS, "logLevel": "debug"},
        "extraEnv": [
            {"name": "AWS_ACCESS_KEY_ID", "value": KEY_ID},
            {"name": "AWS_SECRET_ACCESS_KEY", "value": OWN_KEY},
        ],
    },
    "agent": {
        "image": dict(zip(("repository", "tag"), AGENT_IMAGE.rsplit(":", 1), strict=True)),
    },
}


def client_pod(name: str, role: str | None, node: str = "", script: str = "") -> Manifest:
    """Return a pod that waits to be told what to run, or runs a *script* of Python.

    It has boto3, the AWS CLI and curl as they are: no endpoint or address of ours is told to them
    but that of STS.
    """
    command = {"command": ["python", "-u", "-c", script]} if script else {}
    container = {
        "name": "client",
        "image": CLIENT_IMAGE,
        "imagePullPolicy": "Never",
        **command,
        "env": [
            {"name": "AWS_ENDPOINT_URL_STS", "value": STS},
            {"name": "AWS_DEFAULT_REGION", "value": REGION},
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {} if role is None else {ROLE: role}},
        "spec": {
            "containers": [container],
            "terminationGracePeriodSeconds": 1,
            # Nothing here needs one, and a test of what pods can do shall not rest on it.
            "automountServiceAccountToken": False,
            **({"nodeName": node} if node else {}),
        },
    }


def deployment(name: str, role: str, replicas: int) -> Manifest:
    """Return a Deployment of such pods, one beside the other on each node."""
    pod = client_pod(name, role)
    labels = {"app": name}
    pod["metadata"] = {"annotations": pod["metadata"]["annotations"], "labels": labels}
    pod["spec"]["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": labels},
        }
    ]
    template = {"metadata": pod["metadata"], "spec": pod["spec"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": template,
        },
    }


def placed(manifest: Manifest, namespace: str) -> Manifest:
    return manifest | {"metadata": manifest["metadata"] | {"namespace": namespace}}


@contextlib.asynccontextmanager
async def prepared(cluster: Cluster, images: Path) -> AsyncGenerator[Grounds]:
    """Give the nodes our images, start STS beside them, and install the chart."""
    async with cluster.admin() as admin, _sts(cluster), _imds(cluster) as imds:
        grounds = Grounds(cluster, admin, imds)
        async with asyncio.TaskGroup() as tasks:
            for node in grounds.nodes:
                importing = asyncio.to_thread(node.import_images, images)
                tasks.create_task(importing, name=f"import images on {node.name}")
        await grounds.install()
        yield grounds


@contextlib.asynccontextmanager
async def _sts(cluster: Cluster) -> AsyncGenerator[None]:
    """Run the strict STS fake at an address that nodes and pods reach."""
    fleet = cluster.control_plane.fleet
    assert fleet is not None
    process = await asyncio.create_subprocess_exec(
        *fleet.site.inside(),
        *("setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "fakes.sts", "--any-role"),
        *("--host", SITE, "--port", str(_STS_PORT)),
        *("--access-key-id", KEY_ID, "--secret-access-key", OWN_KEY),
        env={"PYTHONPATH": str(_TESTS)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline(), "STS did not start"
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def _imds(cluster: Cluster) -> AsyncGenerator[FakeImds]:
    """Run the nodes' own metadata service where theirs is: behind their gateway."""
    fleet = cluster.control_plane.fleet
    assert fleet is not None
    fleet.site.add_address(METADATA)
    imds = FakeImds()
    imds.gate.set()
    listening = fleet.site.listener(METADATA, 80)
    async with await asyncio.start_server(imds.serve, sock=listening):
        yield imds


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**first, **second}
    for key in first.keys() & second.keys():
        if isinstance(first[key], Mapping) and isinstance(second[key], Mapping):
            merged[key] = _merged(first[key], second[key])
    return merged


def _is_ready(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
