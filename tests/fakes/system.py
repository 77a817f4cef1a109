"""The whole system as real processes on loopback: the strict STS fake, servers, agents, pods.

A pod is an address of 127/8 that a request comes from; its manifest names node and address. Nothing
is waited for by the clock: each process writes its log to a pipe, and lines are events.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema
import trustme
import yaml

from fakes.cluster import NODE
from fakes.running import PATIENCE, Running, python
from testcluster.ports import free_ports

BASE = "arn:aws:iam::111122223333:role/"
REGION = "eu-west-1"
KEY_ID = "AKIASYSTEMTEST000000"
OWN_KEY = "of/the/server/itself"
LIST = "/latest/meta-data/iam/security-credentials/"
_ROOT = Path(__file__).parents[2]
AUDIT = jsonschema.Draft202012Validator(json.loads((_ROOT / "docs/audit.schema.json").read_text()))


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """What the server signs its calls with."""

    secret: str = OWN_KEY
    token: str = ""

    @property
    def environment(self) -> dict[str, str]:
        keys = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": self.secret}
        return keys | ({"AWS_SESSION_TOKEN": self.token} if self.token else {})


@dataclass(slots=True)
class System:
    """Where everything is, and what runs."""

    root: Path
    stack: contextlib.AsyncExitStack
    own: OwnKeys = field(default_factory=OwnKeys)
    # What both sides are told besides what every test needs.
    output: tuple[str, ...] = ("--log-format", "json")
    environment: Mapping[str, str] = field(default_factory=dict)
    # Where what is started goes on to write: `out` and `err`, if not to its `Running`.
    streams: Mapping[str, int] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    everything: list[Running] = field(default_factory=list)

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def endpoint(self) -> int:
        return self.port("endpoint")

    @property
    def said(self) -> str:
        """All that any process has written so far."""
        return "\n".join(line for each in self.everything for line in (*each.err, *each.out))

    def port(self, name: str) -> int:
        """Return the port that goes by *name*, chosen once and free then."""
        if name not in self.ports:
            # An agent that finds another one at its endpoint takes one of the ports after it.
            [self.ports[name]] = free_ports(1, room=7 if name == "endpoint" else 0)
        return self.ports[name]

    def running(self, name: str) -> Running:
        """Return the process that was started by *name* last."""
        return next(each for each in reversed(self.everything) if each.name == name)

    def write(self, name: str, *documents: Mapping[str, object]) -> None:
        """Put *documents* into one manifest, in one step, as `kubectl` would."""
        draft = self.root / "draft"
        draft.write_text(yaml.safe_dump_all(documents))
        draft.rename(self.manifests / f"{name}.yaml")

    async def run(self, name: str, *words: str, **environment: str) -> Running:
        """Start a process of this interpreter; it ends with the system at the latest."""
        home = {"HOME": str(self.root), **self.environment, **environment}
        process = python(name, *words, environment=home, **self.streams)
        running = await self.stack.enter_async_context(process)
        self.everything.append(running)
        return running

    async def start(self, *flags: str, hold: str | None = None) -> None:
        """Start STS, a server with *flags*, and an agent, which holds requests as long as it does.

        With a longer *hold*, who waits is waiting still when a busy machine comes to see it.
        """
        # A server asks STS for nothing before an agent is there.
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.start_sts(), name="start STS")
            tasks.create_task(self.start_server(*flags), name="start the server")
        await self.start_agent(*(() if hold is None else ("--hold", hold)))

    async def start_sts(self, *flags: str, own: OwnKeys | None = None) -> Running:
        """Start the STS fake, which knows *own*; roles that *flags* do not name trust everyone."""
        own = own or self.own
        sts = await self.run(
            "sts", "-m", "fakes.sts", "--any-role",
            "--port", str(self.port("sts")),
            "--access-key-id", KEY_ID,
            "--secret-access-key", own.secret,
            *(("--session-token", own.token) if own.token else ()),
            *flags,
            PYTHONPATH=str(_ROOT / "tests"),
        )  # fmt: skip
        await sts.wait_line("listening")
        return sts

    async def start_server(self, *flags: str, name: str = "server") -> Running:
        """Start a server and wait until it lets agents in."""
        words = ("server", *self.server_flags(name), *flags)
        server = await self.run(name, "-m", "rolecall_cli", *words, **self.own.environment)
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
            *self.output,
        ]  # fmt: skip

    async def start_agent(self, *flags: str, servers: tuple[str, ...] = ("server",)) -> Running:
        """Start the agent and wait until it has a server's snapshot."""
        words = ("agent", *self.agent_flags(servers), *flags)
        agent = await self.run("agent", "-m", "rolecall_cli", *words)
        await agent.wait_line("following a server")
        return agent

    def agent_flags(self, servers: tuple[str, ...] = ("server",)) -> list[str]:
        return [
            "--servers", ",".join(f"127.0.0.1:{self.port(name)}" for name in servers),
            "--ca-file", str(self.root / "ca.pem"),
            "--token-file", str(self.root / "token"),
            "--listen", f"127.0.0.1:{self.endpoint}",
            "--admin-listen", f"127.0.0.1:{self.port('agent-admin')}",
            "--unwitnessed", "serve",  # Addresses of loopback have no links of their own.
            *self.output,
        ]  # fmt: skip

    async def get(
        self, path: str, source: str, headers: str = "", method: str = "GET"
    ) -> tuple[int, str]:
        """Ask the endpoint from *source*; return the status and the body."""
        return await ask(self.endpoint, path, source, headers, method)

    async def until(
        self, path: str, source: str, good: Callable[[int, str], bool], headers: str = ""
    ) -> str:
        """Ask again until the answer is *good*: a change of a manifest is on its way."""
        async with asyncio.timeout(PATIENCE):
            while True:
                status, body = await self.get(path, source, headers)
                if good(status, body):
                    return body
                await asyncio.sleep(0.02)

    async def until_served(self, source: str, role: str) -> dict[str, str]:
        """Ask again until *source* is told *role*; return the document of its credentials."""
        await self.until(LIST, source, lambda status, body: (status, body) == (200, role))
        return await self.document(source, role)

    async def document(self, source: str, role: str) -> dict[str, str]:
        """Return the document that *source* is given for *role* at once."""
        status, body = await self.get(LIST + role, source)
        assert status == 200, (status, body)
        fields: dict[str, str] = json.loads(body)
        return fields

    async def probe(self, name: str, path: str) -> tuple[int, str]:
        """Ask the probes of the process that goes by *name*."""
        return await ask(self.port(f"{name}-admin"), path, "127.0.0.1")

    async def until_measured(self, name: str, line: str) -> None:
        """Return once *line* is among the metrics of the process that goes by *name*."""
        async with asyncio.timeout(PATIENCE):
            while True:
                _, metrics = await self.probe(name, "/metrics")
                if _sample(line) in map(_sample, metrics.splitlines()):
                    return
                await asyncio.sleep(0.02)

    async def until_held(self, count: int) -> None:
        """Return once *count* requests are held."""
        line = f'rolecall_agent_held_requests{{endpoint="metadata"}} {count}.0'
        await self.until_measured("agent", line)

    async def calls(self) -> Mapping[str, int]:
        """Return how often STS was asked for each role."""
        _, body = await ask(self.port("sts"), "/_fake/calls", "127.0.0.1")
        return {arn.removeprefix(BASE): count for arn, count in json.loads(body)["roles"].items()}

    async def weather(self, **weather: float) -> None:
        """Tell the STS fake how to behave: latency, outage, rate."""
        await self._tell_sts("/_fake/weather", weather)

    async def script(self, role: str, **fault: object) -> None:
        """Let the next call for *role* meet a fault: see `fakes/sts/remote.py`."""
        await self._tell_sts("/_fake/script", {"role": BASE + role, **fault})

    async def _tell_sts(self, path: str, what: Mapping[str, object]) -> None:
        body = json.dumps(what)
        headers = f"Content-Length: {len(body.encode())}\r\n"
        status, _ = await ask(self.port("sts"), path, "127.0.0.1", headers, "PUT", body)
        assert status == 200


def _sample(line: str) -> tuple[str, frozenset[str], str]:
    """Take a line of metrics apart: its labels are in any order."""
    head, _, value = line.rpartition(" ")
    name, _, labels = head.removesuffix("}").partition("{")
    return name, frozenset(labels.split(",")), value


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


@contextlib.asynccontextmanager
async def system(root: Path, own: OwnKeys | None = None) -> AsyncGenerator[System]:
    """Make the places of a system; what is started in the block ends with it.

    Every audit record that was written meanwhile is held against the schema.
    """
    (root / "manifests").mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(root / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(root / "server.pem"))
    certificate.private_key_pem.write_to_path(str(root / "server.key"))
    (root / "token-secret").write_bytes(os.urandom(32).hex().encode())
    (root / "token").write_text(NODE)
    async with contextlib.AsyncExitStack() as stack:
        running = System(root, stack, own or OwnKeys())
        yield running
    for process in running.everything:
        for record in process.records:
            AUDIT.validate(record)
