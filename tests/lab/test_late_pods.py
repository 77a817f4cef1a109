"""SDKs as they come whose pod or credentials come after 1.5 and after 3 seconds: none is lost.

Each program asks once. They run side by side, each in a pod of its own.
"""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lab import programs
from lab.late_node import ARN, CONTAINER, METADATA, STS
from rolecall_cli.lab import LabError, LabNode

LIMIT = 120.0  # seconds; a test that waits longer has lost
AT_ONCE = 4  # More would be slow for their machine's sake, and not for their SDK's.
ENDPOINTS = ("metadata", "container")
LATE = ("pod", "credentials")
SECONDS = (1.5, 3.0)
OURS = "ASIA1"
# curl asks as scripts do: by its address, and with two seconds for each answer.
SCRIPTS = [("metadata", late, 1.5) for late in LATE]
ALL = list(itertools.product(ENDPOINTS, LATE, SECONDS))


class Late:
    """A node whose pods are late, and their programs."""

    def __init__(self, node: LabNode, told: Process, folder: Path) -> None:
        self._node = node
        self._told = told
        self._folder = folder
        self._numbers = itertools.count(5)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._line = asyncio.Lock()

    async def key(self, program: str, *cell: str | float) -> str:
        """Return the key that *program* has in a pod of which something is late, as *cell* says."""
        ready, *answers = await self.said(*programs.command(program), cell=cell)
        assert json.loads(ready) == "ready"
        [answer] = answers
        return str(json.loads(answer)["key"])

    async def said(self, *command: str, cell: tuple[str | float, ...]) -> list[bytes]:
        """Return what *command* says in such a pod, and that it ends as programs do."""
        endpoint, late, seconds = cell
        name = f"late-{next(self._numbers)}"
        address = f"10.77.1.{name.rpartition('-')[2]}"
        async with self._turns:
            await self._node.add_pod(name, IPv4Address(address))
            assert await self._say(f"{address} {late} {seconds}") == b"taken in\n"
            words = ("env", "-i", *self._environment(str(endpoint), address), *command)
            process = await asyncio.create_subprocess_exec(
                *self._node.command(*words, pod=name), stdin=PIPE, stdout=PIPE, stderr=PIPE
            )
            try:
                async with asyncio.timeout(LIMIT):
                    said, errors = await process.communicate(b"\n")
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.communicate()
        assert process.returncode == 0, errors.decode()
        return said.splitlines()

    async def _say(self, line: str) -> bytes:
        assert self._told.stdin is not None
        assert self._told.stdout is not None
        async with self._line:
            self._told.stdin.write(f"{line}\n".encode())
            return await self._told.stdout.readline()

    def _environment(self, endpoint: str, address: str) -> list[str]:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL_STS": f"http://{CONTAINER}:{STS}",
        }
        if endpoint == "container":
            variables |= {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{CONTAINER}:9804/v1/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self._folder / f"{address}.token"),
                "AWS_EC2_METADATA_DISABLED": "true",
            }
        return [f"{name}={value}" for name, value in variables.items()]


@contextlib.asynccontextmanager
async def late_node(folder: Path, kind: str) -> AsyncGenerator[Late]:
    """Open a node whose agent is of that *kind*, patient or silent."""
    script = Path(__file__).with_name("late_node.py")
    environment = {**os.environ, "PYTHONPATH": str(script.parents[1])}
    try:
        async with LabNode.opened() as node:
            for address in (METADATA, CONTAINER):
                words = ("ip", "address", "add", f"{address}/32", "dev", "lo")
                adding = await asyncio.create_subprocess_exec(*node.command(*words))
                assert await adding.wait() == 0
            command = node.command(sys.executable, str(script), str(folder), kind)
            told = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, env=environment
            )
            assert told.stdout is not None
            async with asyncio.timeout(LIMIT):
                assert await told.stdout.readline() == b"listening\n"
            try:
                yield Late(node, told, folder)
            finally:
                told.kill()
                await told.communicate()
    except LabError as error:
        pytest.skip(f"no network namespaces here: {error}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", programs.PROGRAMS)
async def test_nobody_is_lost_who_is_late(tmp_path: Path, client: str) -> None:
    """At either endpoint, whatever is late, and however much of three seconds."""
    try:
        programs.command(client)
    except programs.NoProgramError as error:
        pytest.skip(str(error))
    cells = SCRIPTS if client == "curl" else ALL
    async with late_node(tmp_path, "patient") as late:
        keys = await asyncio.gather(*(late.key(client, *cell) for cell in cells))

    assert dict(zip(cells, keys, strict=True)) == dict.fromkeys(cells, OURS)


@pytest.mark.timeout(300)
async def test_the_aws_cli_is_not_lost(tmp_path: Path) -> None:
    """It is boto3's kin, and slower: each of its starts loads half of it."""
    aws_cli = shutil.which(os.environ.get("TEST_AWS_CLI", ""))
    if aws_cli is None:
        pytest.skip("TEST_AWS_CLI does not say where the AWS CLI is: scripts/test makes one")
    words = (aws_cli, "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
    async with late_node(tmp_path, "patient") as late:
        said = await asyncio.gather(*(late.said(*words, cell=cell) for cell in ALL))

    assert said == [[ARN.encode()]] * len(ALL)


async def test_without_patience_boto3_is_lost(tmp_path: Path) -> None:
    """It asks once, and waits for a second of silence: that is what the first bytes are for.

    A pod that is not known is waited for twice, for the token as well.
    """
    async with late_node(tmp_path, "silent") as late:
        keys = await asyncio.gather(
            late.key("boto3", "metadata", "pod", 3.0),
            late.key("boto3", "metadata", "credentials", 1.5),
        )

    assert keys == ["", ""]
