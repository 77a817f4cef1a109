"""The whole system as real processes on loopback: the strict STS fake, servers, agents, pods.

A pod is an address of 127/8 that a request comes from; its manifest names node and address. Nothing
is waited for by the clock: each process writes its log to a pipe, and lines are events.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import trustme
import yaml

BASE = "arn:aws:iam::111122223333:role/"
NODE = "node-a"
REGION = "eu-west-1"
KEY_ID = "AKIASYSTEMTEST000000"
OWN_KEY = "of/the/server/itself"
PATIENCE = 20.0  # seconds, for a slow machine; what is waited for takes some milliseconds


@dataclass(slots=True)
class Running:
    """A process, and every line that it has written so far to stderr and to stdout."""

    name: str
    process: asyncio.subprocess.Process
    err: list[str] = field(default_factory=list)
    out: list[str] = field(default_factory=list)
    # Not a TaskGroup's: a fixture's set-up and its end are two tasks.
    readers: list[asyncio.Task[None]] = field(default_factory=list)
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_line(self, *parts: str) -> str:
        """Return the first line of stderr or stdout that holds all of *parts*."""

        def found() -> str | None:
            lines = [*self.err, *self.out]
            return next((line for line in lines if all(part in line for part in parts)), None)

        try:
            async with asyncio.timeout(PATIENCE), self.grown:
                await self.grown.wait_for(lambda: found() is not None)
        except TimeoutError:
            raise AssertionError(f"{self.name} never said {parts}: {self.err[-20:]}") from None
        return found() or ""

    async def collect(self, stream: asyncio.StreamReader | None, into: list[str]) -> None:
        assert stream is not None
        async for line in stream:
            async with self.grown:
                into.append(line.decode(errors="replace").rstrip("\n"))
                self.grown.notify_all()

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


@dataclass(slots=True)
class System:
    """Where everything is, and what runs."""

    root: Path
    stack: contextlib.AsyncExitStack
    own_key: str
    level: str = "info"
    log_format: str = "json"
    ports: dict[str, int] = field(default_factory=dict)
    everything: list[Running] = field(default_factory=list)

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def door(self) -> int:
        return self.ports["door"]

    def port(self, name: str) -> int:
        """Return the port that goes by *name*, chosen once and free then."""
        if name not in self.ports:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.ports[name] = probe.getsockname()[1]
        return self.ports[name]

    def write(self, name: str, *documents: Mapping[str, object]) -> None:
        """Put *documents* into one manifest, in one step, as `kubectl` would."""
        draft = self.root / "draft"
        draft.write_text(yaml.safe_dump_all(documents))
        draft.rename(self.manifests / f"{name}.yaml")

    async def run(self, name: str, *words: str, environment: Mapping[str, str]) -> Running:
        """Start a process of this interpreter; it ends with the system at the latest."""
        process = await asyncio.create_subprocess_exec(
            # Dies with the tests, however they end.
            *("setpriv", "--pdeathsig", "KILL"),
            sys.executable,
            *words,
            env={"PATH": os.environ["PATH"], "HOME": str(self.root), **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 22,
        )
        running = Running(name, process)
        self.everything.append(running)
        self.stack.push_async_callback(_kill, running)
        for stream, lines in ((process.stderr, running.err), (process.stdout, running.out)):
            running.readers.append(asyncio.create_task(running.collect(stream, lines)))
        return running

    async def start_sts(self, *flags: str) -> Running:
        """Start the STS fake; any role may be had unless *flags* say otherwise."""
        keys = ("--access-key-id", KEY_ID, "--secret-access-key", self.own_key)
        port = ("--port", str(self.port("sts")))
        flags = flags or ("--any-role",)
        tests = {"PYTHONPATH": str(Path(__file__).parents[1])}
        sts = await self.run("sts", "-m", "fakes.sts", *port, *keys, *flags, environment=tests)
        await sts.wait_line("listening")
        return sts

    async def run_sts_with_other_keys(self) -> Running:
        """Start an STS on the same port that has never heard of the server's keys."""
        flags = ("--any-role", "--access-key-id", "AKIASOMEBODYELSES000")
        return await self.start_sts(*flags, "--secret-access-key", "somebody/elses")

    async def start_server(self, *flags: str, name: str = "server") -> Running:
        """Start a server and wait until it lets agents in."""
        server = await self.run(
            name, "-m", "rolecall_cli", "server", *self.server_flags(name), *flags,
            environment={"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": self.own_key},
        )  # fmt: skip
        await server.wait_line("serving agents")
        return server

    def server_flags(self, name: str = "server") -> list[str]:
        return [
            "--manifests", str(self.manifests),
            "--manifest-nodes", f"{NODE}=127.9.0.0/16",
            "--listen", f"127.0.0.1:{self.port(name)}",
            "--admin-listen", f"127.0.0.1:{self.port(f'{name}-admin')}",
            "--tls-certificate", str(self.root / "server.pem"),
            "--tls-key", str(self.root / "server.key"),
            "--token-secret-file", str(self.root / "token-secret"),
            "--base-arn", BASE,
            "--region", REGION,
            "--sts-endpoint", f"http://127.0.0.1:{self.port('sts')}",
            "--log-level", self.level,
            "--log-format", self.log_format,
        ]  # fmt: skip

    async def start_agent(self, *flags: str, servers: tuple[str, ...] = ("server",)) -> Running:
        """Start the agent and wait until it has a server's snapshot."""
        (self.root / "token").write_text(NODE)
        agent = await self.run(
            "agent", "-m", "rolecall_cli", "agent",
            "--servers", ",".join(f"127.0.0.1:{self.port(name)}" for name in servers),
            "--ca-file", str(self.root / "ca.pem"),
            "--token-file", str(self.root / "token"),
            "--listen", f"127.0.0.1:{self.port('door')}",
            "--admin-listen", f"127.0.0.1:{self.port('agent-admin')}",
            "--log-level", self.level,
            "--log-format", self.log_format,
            *flags,
            environment={},
        )  # fmt: skip
        await agent.wait_line("following a server")
        return agent

    async def get(
        self, path: str, source: str, headers: str = "", method: str = "GET"
    ) -> tuple[int, str]:
        """Ask the door from *source*; return the status and the body."""
        return await ask(self.door, path, source, headers, method)

    async def until(self, path: str, source: str, good: Callable[[int, str], bool]) -> str:
        """Ask again until the answer is *good*: a change of a manifest is on its way."""
        async with asyncio.timeout(PATIENCE):
            while True:
                status, body = await self.get(path, source)
                if good(status, body):
                    return body
                await asyncio.sleep(0.02)

    async def admin(self, name: str, path: str) -> tuple[int, str]:
        """Ask the probes of the process that goes by *name*."""
        return await ask(self.port(f"{name}-admin"), path, "127.0.0.1")

    async def until_measured(self, name: str, line: str) -> None:
        """Return once *line* is among the metrics of the process that goes by *name*."""
        async with asyncio.timeout(PATIENCE):
            while True:
                _, metrics = await self.admin(name, "/metrics")
                if line in metrics.splitlines():
                    return
                await asyncio.sleep(0.02)

    async def calls(self) -> Mapping[str, int]:
        """Return how often STS was asked for each role."""
        _, body = await ask(self.port("sts"), "/_fake/calls", "127.0.0.1")
        return {arn.removeprefix(BASE): count for arn, count in json.loads(body)["roles"].items()}

    async def weather(self, **weather: float) -> None:
        """Tell the STS fake how to behave: latency, outage, rate."""
        body = json.dumps(weather)
        headers = f"Content-Length: {len(body)}\r\n"
        await ask(self.port("sts"), "/_fake/weather", "127.0.0.1", headers, "PUT", body)


async def ask(  # noqa: PLR0913, PLR0917 - what a request consists of
    port: int, path: str, source: str, headers: str = "", method: str = "GET", body: str = ""
) -> tuple[int, str]:
    """Make one request from *source*, on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
    writer.write(f"{head}{headers}\r\n{body}".encode())
    try:
        status = (await reader.readline()).decode()
        length = 0
        while (line := (await reader.readline()).decode().strip().lower()) != "":
            if line.startswith("content-length:"):
                length = int(line.partition(":")[2])
        text = (await reader.readexactly(length)).decode(errors="replace")
    finally:
        writer.close()
    return int(status.split(" ")[1]), text


async def _kill(running: Running) -> None:
    if running.process.returncode is None:
        running.process.kill()
    await running.process.wait()
    await asyncio.gather(*running.readers)


@contextlib.asynccontextmanager
async def system(root: Path, own_key: str = OWN_KEY, level: str = "info") -> AsyncGenerator[System]:
    """Make the places of a system; what is started in the block ends with it."""
    (root / "manifests").mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(root / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(root / "server.pem"))
    certificate.private_key_pem.write_to_path(str(root / "server.key"))
    (root / "token-secret").write_bytes(os.urandom(32).hex().encode())
    async with contextlib.AsyncExitStack() as stack:
        yield System(root, stack, own_key, level)


def namespace(name: str = "apps", **annotations: str) -> dict[str, object]:
    """Return a namespace that permits every role, or what *annotations* say."""
    rules = annotations or {"allowed-roles": '["**", "arn:**"]'}
    keys = {f"iam.amazonaws.com/{key.replace('_', '-')}": text for key, text in rules.items()}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "annotations": keys},
    }


def pod(
    name: str, address: str, role: str | None = None, space: str = "apps", **annotations: str
) -> dict[str, object]:
    """Return a pod of the node; its uid is drawn from its name."""
    asked = annotations if role is None else {"role": role, **annotations}
    keys = {f"iam.amazonaws.com/{key.replace('_', '-')}": text for key, text in asked.items()}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "annotations": keys},
        "spec": {"nodeName": NODE, "containers": [{"name": "app", "image": "app"}]},
        "status": {"podIP": address},
    }
