"""Rolecall in the test cluster: the chart's own settings and accounts, its processes on loopback.

Helm installs the chart, and kwok runs its pods in name only. What a kubelet would put into them is
put into files here, from the cluster's own objects: settings, certificates, and tokens that the API
server issues for the very pods. The processes read those. Pods of the nodes used here have
addresses of 127/8, so that a request can come from them.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from chart.rendering import CHART
from fakes.running import PATIENCE, Running
from fakes.system import AUDIT, BASE, LIST, REGION, System, ask
from testcluster.client import Client, Manifest, RefusedError
from testcluster.cluster import Cluster
from testcluster.commands import ISSUER
from testcluster.nodes import node

RELEASE = "rolecall"
SPACE = "rolecall-system"
AUDIENCE = "rolecall"
ROLE = "iam.amazonaws.com/role"
# Everything is permitted, so that a test about something else need not speak of it.
PERMITS = {"iam.amazonaws.com/allowed-roles": '["**", "arn:**"]'}
_SERVER = "rolecall-server"


def loopback_node(number: int) -> Manifest:
    """Return a node whose pods can be spoken for on this machine: they are in 127.*number*/16."""
    made = node(number)
    pods = f"127.{number}.0.0/16"
    made["spec"] |= {"podCIDR": pods, "podCIDRs": [pods]}
    return made


async def install(cluster: Cluster, **values: Any) -> None:  # noqa: ANN401 - the chart's values
    """Install the chart, and wait until its pods are there."""
    await cluster.helm(
        *("upgrade", "--install", RELEASE, str(CHART), "--namespace", SPACE, "--create-namespace"),
        *("--wait", "--timeout", "150s", "--values", "-"),
        given=json.dumps(values),
    )


async def pod_token(cluster: Cluster, node: str, pod: Manifest, audience: str, seconds: int) -> str:
    """Return a token of *pod*, as its node's kubelet asks for it: again, while it is too early.

    What lets a kubelet have it hears of a new pod by watches of its own.
    """
    account, namespace = pod["spec"]["serviceAccountName"], pod["metadata"]["namespace"]
    async with cluster.node(node) as kubelet, asyncio.timeout(PATIENCE):
        while True:
            try:
                return await kubelet.token(account, namespace, audience, pod=pod, seconds=seconds)
            except RefusedError as refused:
                if refused.status not in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
                    raise
            await asyncio.sleep(0.05)


@dataclass(slots=True)
class Serving(System):
    """Servers and agents of the release, as processes of this machine."""

    cluster: Cluster = None  # type: ignore[assignment]  # Given by `serving`, below.
    admin: Client = None  # type: ignore[assignment]  # likewise

    def server_flags(self, name: str = "server") -> list[str]:
        return [
            # As a pod has them by the chart.
            "--config", str(self.root / "settings.yaml"),
            # What is different outside of a pod.
            "--kubeconfig", str(self.root / "kubeconfig"),
            "--listen", f"127.0.0.1:{self.port(name)}",
            "--admin-listen", f"127.0.0.1:{self.port(f'{name}-admin')}",
            "--tls-certificate", str(self.root / "tls.crt"),
            "--tls-key", str(self.root / "tls.key"),
            "--token-secret-file", str(self.root / "secret"),
            "--base-arn", BASE,
            "--region", REGION,
            "--sts-endpoint", f"http://127.0.0.1:{self.port('sts')}",
            *self.output,
        ]  # fmt: skip

    def agent_flags(self, servers: tuple[str, ...] = ("server",), name: str = "agent") -> list[str]:
        return [
            "--servers", ",".join(f"127.0.0.1:{self.port(each)}" for each in servers),
            "--server-name", f"{_SERVER}.{SPACE}.svc",
            "--ca-file", str(self.root / "ca.crt"),
            "--token-file", str(self.root / f"{name}-token"),
            "--listen", f"127.0.0.1:{self.port(f'{name}-endpoint')}",
            "--container-listen", f"127.0.0.1:{self.port(f'{name}-container')}",
            "--admin-listen", f"127.0.0.1:{self.port(f'{name}-admin')}",
            "--unwitnessed", "serve",  # Addresses of loopback have no links of their own.
            *self.output,
        ]  # fmt: skip

    async def start_everything(self, *nodes: str) -> None:
        """Start STS, a server, and the agents of *nodes*, which go by the nodes' names."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.start_sts(), name="start STS")
            tasks.create_task(self.start_server(), name="start the server")
        async with asyncio.TaskGroup() as tasks:
            for each in nodes:
                tasks.create_task(self.start_node_agent(each), name=f"start the agent of {each}")

    async def start_node_agent(self, node: str, servers: tuple[str, ...] = ("server",)) -> Running:
        """Start the agent of *node*, and wait until it has a server's snapshot."""
        await self.write_agent_token(node)
        words = ("agent", *self.agent_flags(servers, node))
        agent = await self.run(node, "-m", "rolecall_cli", *words)
        await agent.wait_line("following a server")
        return agent

    async def agent_pod(self, node: str) -> Manifest:
        """Return the agent's pod on *node*, once the DaemonSet has made it and it runs."""

        def runs(pods: Mapping[str, Manifest]) -> bool:
            return any(pod["status"]["phase"] == "Running" for pod in pods.values())

        pods = await self.admin.until(
            "Pod", runs, SPACE,
            labelSelector="app.kubernetes.io/component=agent",
            fieldSelector=f"spec.nodeName={node}",
        )  # fmt: skip
        return next(iter(pods.values()))

    async def agent_token(self, node: str, audience: str = AUDIENCE, seconds: int = 3600) -> str:
        """Return a token of the agent's pod of *node*, asked for by the node's own kubelet."""
        pod = await self.agent_pod(node)
        return await pod_token(self.cluster, node, pod, audience, seconds)

    async def write_agent_token(self, node: str) -> None:
        (self.root / f"{node}-token").write_text(await self.agent_token(node))

    async def until_said(self, name: str, *parts: str) -> None:
        """Return once the process that goes by *name* was started and has said *parts*."""
        async with asyncio.timeout(PATIENCE):
            while not any(each.name == name and each.is_alive for each in self.everything):  # noqa: ASYNC110 - it is being started
                await asyncio.sleep(0.02)
        await self.running(name).wait_line(*parts)

    async def write_api_token(self) -> None:
        """Give the servers a new token for the API server."""
        token = await self.admin.token(_SERVER, SPACE, ISSUER)
        (self.root / "api-token").write_text(token)

    async def ask(self, node: str, path: str, source: str) -> tuple[int, str]:
        """Ask the endpoint of *node* from *source*; return the status and the body."""
        return await ask(self.port(f"{node}-endpoint"), path, source)

    async def until_given(self, node: str, source: str, role: str) -> dict[str, str]:
        """Ask again until *source* is told *role*; return the document of its credentials."""
        await self._until(node, source, lambda status, body: (status, body) == (200, role))
        status, body = await self.ask(node, LIST + role, source)
        assert status == 200, (status, body)
        document: dict[str, str] = json.loads(body)
        return document

    async def until_unknown(self, node: str, source: str) -> None:
        """Ask again until *source* is told to come back: no pod has that address."""
        await self._until(node, source, lambda status, _: status == 503)

    async def until_refused(self, node: str, source: str) -> None:
        """Ask again until *source* is told that it has no role."""
        await self._until(node, source, lambda status, _: status == 404)

    async def _until(self, node: str, source: str, good: Callable[[int, str], bool]) -> None:
        """Ask for the list until the answer is *good*: asking again is all that a pod has."""
        async with asyncio.timeout(PATIENCE):
            while True:
                if good(*await self.ask(node, LIST, source)):
                    return
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def serving(cluster: Cluster, root: Path) -> AsyncGenerator[Serving]:
    """Make the places of the release's processes; what is started in the block ends with it."""
    async with contextlib.AsyncExitStack() as stack:
        admin = await stack.enter_async_context(cluster.admin())
        await _write_files(admin, cluster, root)
        running = Serving(root, stack, cluster=cluster, admin=admin)
        await running.write_api_token()
        yield running
    for process in running.everything:
        for record in process.records:
            AUDIT.validate(record)


async def _write_files(admin: Client, cluster: Cluster, root: Path) -> None:
    """Write what a kubelet would mount into the servers' and the agents' pods."""
    settings = await admin.get("ConfigMap", _SERVER, SPACE)
    (root / "settings.yaml").write_text(settings["data"]["settings.yaml"])
    authority = await admin.get("ConfigMap", "rolecall-authority", SPACE)
    (root / "ca.crt").write_text(authority["data"]["ca.crt"])
    for name, keys in (
        (f"{_SERVER}-tls", ("tls.crt", "tls.key")),
        ("rolecall-token-secret", ("secret",)),
    ):
        secret = await admin.get("Secret", name, SPACE)
        for key in keys:
            (root / key).write_bytes(base64.b64decode(secret["data"][key]))
    user = {"tokenFile": str(root / "api-token")}
    where = {"server": cluster.url, "certificate-authority": str(cluster.bundle)}
    document = {
        "clusters": [{"name": "cluster", "cluster": where}],
        "users": [{"name": "server", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "cluster", "user": "server"}}],
        "current-context": "it",
    }
    (root / "kubeconfig").write_text(yaml.safe_dump(document))
