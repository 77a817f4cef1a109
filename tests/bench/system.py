"""The whole system as processes: the strict STS fake, a server and an agent, ready to be asked."""

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import trustme

from bench.machine import Cores
from bench.manifests import BASE_ARN, NODE, write_namespace
from bench.nginx import free_port, listens
from bench.processes import Running, python, running, until

REGION = "eu-west-1"
# The fake's own defaults; what it signs for is not secret.
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE00",
    "AWS_SECRET_ACCESS_KEY": "example/secret/of/the/strict/sts/fake000",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True, slots=True)
class System:
    """Everything that runs. *manifests* is the directory that the server reads pods from."""

    server: Running
    agent: Running
    port: int
    manifests: Path
    # Where the server writes down when each pod reached its engine.
    stamps: Path
    sts: "Sts"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Sts:
    """The fake's own paths: its call log, and how long it takes."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calls(self) -> dict[str, int]:
        """Return how often each role was assumed."""
        with urllib.request.urlopen(f"{self.url}/_fake/calls") as answer:  # noqa: S310 (http)
            roles: dict[str, int] = json.load(answer)["roles"]
        return roles

    def takes(self, seconds: float) -> None:
        weather = json.dumps({"latency": seconds}).encode()
        request = urllib.request.Request(  # noqa: S310 (an address of this bench)
            f"{self.url}/_fake/weather", weather, {"Content-Type": "application/json"}, method="PUT"
        )
        urllib.request.urlopen(request).close()  # noqa: S310


@contextlib.asynccontextmanager
async def system(cores: Cores, directory: Path) -> AsyncGenerator[System]:
    """Start STS, server and agent. The STS takes no time until it is told to."""
    manifests = directory / "manifests"
    manifests.mkdir()
    write_namespace(manifests)
    core = cores.measured
    async with contextlib.AsyncExitStack() as stack:
        sts = await stack.enter_async_context(sts_fake(cores, directory))
        broker, probes = free_port(), free_port()
        stamps = directory / "stamps"
        command = python("bench.stamped_server", *_server_flags(directory, sts, broker, probes))
        environment = {**KEYS, "BENCH_STAMPS": str(stamps)}
        server = await stack.enter_async_context(
            running("server", command, core=core, directory=directory, environment=environment)
        )
        await _ready(server, probes)
        endpoint, probes = free_port(), free_port()
        command = python(
            "rolecall_cli", "agent", *_agent_flags(directory, broker, endpoint, probes)
        )
        agent = await stack.enter_async_context(
            running("agent", command, core=core, directory=directory)
        )
        await _ready(agent, probes)
        yield System(server, agent, endpoint, manifests, stamps, sts)


@contextlib.asynccontextmanager
async def sts_fake(cores: Cores, directory: Path) -> AsyncGenerator[Sts]:
    """Run the strict STS fake, beside whoever asks; it knows the `KEYS`."""
    port = free_port()
    command = python("fakes.sts", "--any-role", "--port", str(port))
    async with running("sts", command, core=cores.asking, directory=directory):
        await until(lambda: listens(port), "the STS fake's start")
        yield Sts(port)


def _server_flags(directory: Path, sts: Sts, port: int, probes: int) -> list[str]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(directory / "server.pem"))
    certificate.private_key_pem.write_to_path(str(directory / "server.key"))
    return [
        "server",
        "--listen", f"127.0.0.1:{port}",
        "--admin-listen", f"127.0.0.1:{probes}",
        "--tls-certificate", str(directory / "server.pem"),
        "--tls-key", str(directory / "server.key"),
        "--authentication", "loopback",
        "--manifests", str(directory / "manifests"),
        "--manifest-nodes", f"{NODE}=127.64.0.0/16",
        "--base-arn", BASE_ARN,
        "--region", REGION,
        "--sts-endpoint", sts.url,
    ]  # fmt: skip


def _agent_flags(directory: Path, broker: int, port: int, probes: int) -> list[str]:
    token = directory / "token"
    token.write_text(NODE)  # Without a cluster, the node's name is the token.
    return [
        "--servers", f"127.0.0.1:{broker}",
        "--ca-file", str(directory / "ca.pem"),
        "--token-file", str(token),
        "--listen", f"127.0.0.1:{port}",
        "--admin-listen", f"127.0.0.1:{probes}",
        "--unwitnessed", "serve",  # Addresses of loopback have no links of their own.
    ]  # fmt: skip


async def _ready(process: Running, probes: int) -> None:
    try:
        await until(lambda: _says_ready(probes), f"the {process.name}'s readiness")
    except RuntimeError as error:
        raise RuntimeError(f"{error}; it said:\n{process.log.read_text()[-2000:]}") from None


def _says_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
