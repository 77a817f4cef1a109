"""The node in the lab, with real processes, and three kinds of client that run in its pods."""

import asyncio
import json
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from rolecall_cli.demo.command import lab_layout
from rolecall_cli.demo.stage import Stage, cluster
from rolecall_cli.lab import LabNode
from rolecall_server.pods import Pod

BOTO3 = """
import boto3
found = boto3.Session().get_credentials()
print(boto3.client("sts").get_caller_identity()["Arn"] if found else "")
"""
# A metadata client of the fewest parts: what is sent and what comes back is all there is.
RAW = """
import json, socket, sys, time
def ask(method, path, *headers):
    start = time.monotonic()
    with socket.create_connection(("169.254.169.254", 80), timeout=3) as door:
        lines = ["Host: 169.254.169.254", "Connection: close", *headers, "", ""]
        door.sendall("\\r\\n".join([f"{method} {path} HTTP/1.1", *lines]).encode())
        answer = b""
        while more := door.recv(65536):
            answer += more
    head, _, body = answer.partition(b"\\r\\n\\r\\n")
    took = time.monotonic() - start
    return {"status": int(head.split()[1]), "body": body.decode(), "seconds": took}
print(json.dumps([ask(*each) for each in json.loads(sys.argv[1])]))
"""
ROLES = "/latest/meta-data/iam/security-credentials/"


@dataclass(slots=True)
class Rig:
    """One node: its pods are asked for by name, and can be made, changed and deleted."""

    node: LabNode
    stage: Stage
    aws_cli: str | None = None
    others: set[str] = field(default_factory=set)  # Pods that no manifest knows.

    async def add_other(self, name: str, address: str) -> None:
        """Make a network namespace that no manifest knows of."""
        await self.node.add_pod(name, IPv4Address(address))
        self.others.add(name)

    async def apply(self, name: str, text: str) -> list[Pod]:
        """Write a manifest, and make the pods in it that are not there yet; return them all."""
        before = {pod.uid for pod in cluster(self.stage.layout).pods}
        draft = self.stage.layout.manifests / f"{name}.draft"
        draft.write_text(text)
        draft.rename(draft.with_suffix(".yaml"))
        pods = [pod for pod in cluster(self.stage.layout).pods if pod.uid not in before]
        for pod in pods:
            address = pod.addresses[0]
            assert isinstance(address, IPv4Address)
            await self.node.add_pod(pod.name, address)
        return pods

    def delete(self, name: str) -> None:
        """Remove a manifest; what runs in its pods runs on, as a kubelet is never the first."""
        (self.stage.layout.manifests / f"{name}.yaml").unlink()

    async def run(self, pod: str, *command: str) -> tuple[int, str, str]:
        """Run *command* in a pod; return its exit status, and what it said on either stream."""
        process = await asyncio.create_subprocess_exec(
            *self.node.command("env", "-i", *self._environment(), *command, pod=pod),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )
        async with asyncio.timeout(30):
            said, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode(), errors.decode()

    def _environment(self) -> list[str]:
        return [
            f"PATH={os.environ['PATH']}",
            f"PYTHONPATH={os.environ.get('PYTHONPATH', '')}",
            "HOME=/nonexistent",
            "AWS_DEFAULT_REGION=eu-west-1",
            f"AWS_ENDPOINT_URL_STS={self.stage.layout.sts_url}",
        ]

    async def ask(self, pod: str, *requests: tuple[str, ...]) -> list[dict[str, Any]]:
        """Send raw *requests* (method, path, headers…) from a pod; return what came back."""
        status, said, errors = await self.run(
            pod, sys.executable, "-I", "-S", "-c", RAW, json.dumps(requests)
        )
        assert status == 0, errors
        answers: list[dict[str, Any]] = json.loads(said)
        return answers

    async def role(self, client: str, pod: str) -> str | None:
        """Return the role that *client* has in *pod*; None where it has nothing."""
        if client == "raw":
            return await self._raw_role(pod)
        if client == "boto3":
            status, said, errors = await self.run(pod, sys.executable, "-c", BOTO3)
            assert status == 0, errors
            return _role_of(said)
        assert self.aws_cli is not None
        query = ("sts", "get-caller-identity", "--query", "Arn", "--output", "text")
        status, said, errors = await self.run(pod, self.aws_cli, *query)
        assert status == 0 or "Unable to locate credentials" in errors, errors
        return _role_of(said)

    async def _raw_role(self, pod: str) -> str | None:
        role = await self._listed_role(pod)
        if role is not None:
            (document,) = await self.ask(pod, ("GET", ROLES + role))
            assert document["status"] == 200
            assert json.loads(document["body"])["Code"] == "Success"
        return role

    async def _listed_role(self, pod: str) -> str | None:
        (listed,) = await self.ask(pod, ("GET", ROLES))
        return str(listed["body"]) if listed["status"] == 200 else None

    async def until(self, pod: str, role: str | None) -> None:
        """Wait until *pod* is served *role*."""
        async with asyncio.timeout(10):
            while await self._listed_role(pod) != role:  # noqa: ASYNC110 -- others have no event
                await asyncio.sleep(0.02)


def _role_of(arn: str) -> str | None:
    return arn.strip().split("/")[1] if arn.strip() else None


@asynccontextmanager
async def rig(root: Path) -> AsyncGenerator[Rig]:
    """Open a lab with STS, server and agent, and no pods. Raise LabError where there is none."""
    async with LabNode.opened() as node:
        layout = lab_layout(root)
        for example in layout.manifests.iterdir():
            example.unlink()
        async with Stage.opened(node, layout, {}) as stage:
            yield Rig(node, stage, _aws_cli())


def _aws_cli() -> str | None:
    # `scripts/test` makes it an environment of its own and says where it is.
    return shutil.which(os.environ.get("TEST_AWS_CLI", ""))
