"""The node in the lab, with real processes, and several kinds of client that run in its pods."""

import asyncio
import json
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from lab import programs
from rolecall_cli.demo.command import lab_layout
from rolecall_cli.demo.layout import Layout
from rolecall_cli.demo.stage import Stage, cluster
from rolecall_cli.lab import LabNode
from rolecall_server.model.pods import Pod

# A metadata client of the fewest parts: what is sent and what comes back is all there is.
RAW = """
import json, socket, sys, time
def ask(method, path, *headers):
    start = time.monotonic()
    with socket.create_connection(("169.254.169.254", 80), timeout=20) as endpoint:
        lines = ["Host: 169.254.169.254", "Connection: close", *headers, "", ""]
        endpoint.sendall("\\r\\n".join([f"{method} {path} HTTP/1.1", *lines]).encode())
        answer = b""
        while more := endpoint.recv(65536):
            answer += more
    head, _, body = answer.partition(b"\\r\\n\\r\\n")
    took = time.monotonic() - start
    return {"status": int(head.split()[1]), "body": body.decode(), "seconds": took}
print(json.dumps([ask(*each) for each in json.loads(sys.argv[1])]))
"""
PATIENCE = 60.0  # seconds, for a slow machine
ROLES = "/latest/meta-data/iam/security-credentials/"


@dataclass(frozen=True, slots=True)
class Told:
    """What a program in a pod says: its role and its key, or None where it has none."""

    role: str | None
    key: str | None


class Program:
    """A program in a pod, which asks whenever it is told to: one process, and one SDK in it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def ask(self) -> Told:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        said = await self.heard()
        return Told(_role_of(said["arn"]), said["key"] or None)

    async def heard(self) -> Any:  # noqa: ANN401 -- JSON
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
            assert line, (await self._process.stderr.read()).decode()
        return json.loads(line)


@dataclass(slots=True)
class Rig:
    """One node: its pods are asked for by name, and can be made, changed and deleted."""

    node: LabNode
    stage: Stage
    aws_cli: str | None = None
    others: set[str] = field(default_factory=set)  # Pods that no manifest knows.
    sts_url: str | None = None  # Where another STS is than the stage's own.

    async def add_other(self, name: str, address: str) -> None:
        """Make a network namespace that no manifest knows of."""
        await self.node.add_pod(name, IPv4Address(address))
        self.others.add(name)

    async def apply(self, name: str, text: str) -> list[Pod]:
        """Write a manifest, and make the pods in it that are not there yet; return them all."""
        before = {pod.uid for pod in cluster(self.stage.layout).pods}
        self.write(name, text)
        pods = [pod for pod in cluster(self.stage.layout).pods if pod.uid not in before]
        for pod in pods:
            address = pod.addresses[0]
            assert isinstance(address, IPv4Address)
            await self.node.add_pod(pod.name, address)
        return pods

    def write(self, name: str, text: str) -> None:
        """Write a manifest, in one step."""
        draft = self.stage.layout.manifests / f"{name}.draft"
        draft.write_text(text)
        draft.rename(draft.with_suffix(".yaml"))

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
        async with asyncio.timeout(PATIENCE):
            said, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode(), errors.decode()

    @asynccontextmanager
    async def program(self, name: str, pod: str) -> AsyncGenerator[Program]:
        """Start one of `programs.PROGRAMS` in a pod; it has asked nothing yet."""
        command = programs.command(name)
        process = await asyncio.create_subprocess_exec(
            *self.node.command("env", "-i", *self._environment(), *command, pod=pod),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
        )
        try:
            program = Program(process)
            assert await program.heard() == "ready"
            yield program
        finally:
            if process.returncode is None:
                process.kill()
            # Its pipes are read to their ends, so that none is left open.
            await process.communicate()

    def _environment(self) -> list[str]:
        return [
            f"PATH={os.environ['PATH']}",
            f"PYTHONPATH={os.environ.get('PYTHONPATH', '')}",
            "HOME=/nonexistent",
            "AWS_REGION=eu-west-1",
            "AWS_DEFAULT_REGION=eu-west-1",  # The older name, and the only one that boto3 reads.
            f"AWS_ENDPOINT_URL_STS={self.sts_url or self.stage.layout.sts_url}",
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
        if client in programs.PROGRAMS:
            async with self.program(client, pod) as program:
                return (await program.ask()).role
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
        async with asyncio.timeout(PATIENCE):
            while await self._listed_role(pod) != role:  # noqa: ASYNC110 -- others have no event
                await asyncio.sleep(0.02)


def _role_of(arn: str) -> str | None:
    # What knows no ARN names the role alone.
    return arn.strip().split("/")[-2 if "/" in arn else 0] or None


@asynccontextmanager
async def rig(root: Path) -> AsyncGenerator[Rig]:
    """Open a lab with STS, server and agent, and no pods. Raise LabError where there is none."""
    async with LabNode.opened() as node, Stage.opened(node, emptied_layout(root), {}) as stage:
        yield Rig(node, stage, _aws_cli())


def emptied_layout(root: Path) -> Layout:
    """Lay out a demo without its examples."""
    layout = lab_layout(root)
    for example in layout.manifests.iterdir():
        example.unlink()
    return layout


def _aws_cli() -> str | None:
    # `scripts/test` makes it an environment of its own and says where it is.
    return shutil.which(os.environ.get("TEST_AWS_CLI", ""))
