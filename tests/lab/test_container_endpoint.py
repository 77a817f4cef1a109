"""The container endpoint at the very addresses that SDKs accept, on a node that gets them late."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from fakes.container_sdk import SDK, SERVED
from rolecall_cli.lab import LabError, LabNode

WEB = "10.77.0.5"


@pytest.fixture
async def node() -> AsyncGenerator[LabNode]:
    try:
        async with LabNode.opened() as opened:
            await opened.add_pod("web", IPv4Address(WEB))
            yield opened
    except LabError as error:
        pytest.skip(f"no network namespaces here: {error}")


@pytest.fixture
async def tokens(node: LabNode, tmp_path: Path) -> AsyncGenerator[Path]:
    """Run the endpoint on the node; return where the tokens of its pods are."""
    script = Path(__file__).with_name("container_node.py")
    environment = {**os.environ, "PYTHONPATH": str(script.parents[1])}
    process = await asyncio.create_subprocess_exec(
        *node.command(sys.executable, str(script), str(tmp_path)), stdout=PIPE, env=environment
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert await process.stdout.readline() == b"listening\n"
    yield tmp_path
    process.kill()
    await process.communicate()


async def run(node: LabNode, *command: str, pod: str | None = None) -> str:
    process = await asyncio.create_subprocess_exec(
        *node.command(*command, pod=pod), stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(30):
        said, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return said.decode().strip()


async def boto3(node: LabNode, token: Path, address: str, pod: str | None = None) -> str:
    """Return what an unmodified boto3 has, in a pod or on the node itself."""
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(token.parent),
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{address}:9804/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    words = [f"{name}={value}" for name, value in variables.items()]
    return await run(node, "env", "-i", *words, sys.executable, "-c", SDK, pod=pod)


async def test_pods_are_served_at_addresses_that_came_after_the_agent(
    node: LabNode, tokens: Path
) -> None:
    """The agent listens before the node has them; boto3 takes both, in a pod and on the node."""
    for address in ("169.254.170.23/32", "fd00:ec2::23/128"):
        await run(node, "ip", "address", "add", address, "dev", "lo", "nodad")

    assert await boto3(node, tokens / "uid-web.token", "169.254.170.23", pod="web") == SERVED
    assert await boto3(node, tokens / "uid-host.token", "169.254.170.23") == SERVED
    assert await boto3(node, tokens / "uid-host.token", "[fd00:ec2::23]") == SERVED
