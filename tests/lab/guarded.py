"""A node in the lab with a warden, a listener in the agent's place, and the real service.

What stands outside writes down everything that reaches it. Each pod runs one small client that
does what it is told, so that a connection can be opened now and used later.
"""

import asyncio
import contextlib
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from rolecall_cli.lab import Kind, LabNode
from rolecall_cli.lab.addresses import OUTSIDE
from rolecall_common import heartbeat_file
from rolecall_common.heartbeat_file import Health

METADATA = {4: "169.254.169.254", 6: "fd00:ec2::254"}
ENDPOINT = {4: "169.254.170.169", 6: "fd72:6f6c:6563:616c::1"}
PORT = 9803
PODS = {"first": "10.77.1.2", "second": "10.77.1.3"}
ADDRESSES = {
    "first": {4: "10.77.1.2", 6: "fd77::1:2"},
    "second": {4: "10.77.1.3", 6: "fd77::1:3"},
}
FAMILIES = (4, 6)
CAP = 6
# Seconds, for what is not to be answered; and for what is to come about.
SHORT, PATIENCE = 0.7, 60.0
TAMPERINGS = {
    "iptables -F": "iptables -F; iptables -t nat -F; iptables -t raw -F; iptables -t mangle -F",
    "nft flush ruleset": "nft flush ruleset",
    "delete the table": "nft delete table inet rolecall",
    "delete the redirect": "nft flush chain inet rolecall to_endpoint",
    "delete the guard": "nft delete chain inet rolecall passing",
    "flush the input": (
        "nft flush chain inet rolecall endpoint4; nft flush chain inet rolecall endpoint6"
    ),
    "delete the routing rules": "ip rule del pref 6; ip -6 rule del pref 6",
    "delete the goto and its goal": "ip rule del pref 5; ip rule del pref 7",
    "flush all routing rules": (
        "ip rule flush; ip rule add pref 32766 lookup main; "
        "ip -6 rule flush; ip -6 rule add pref 32766 lookup main"
    ),
    "delete the endpoint's addresses": (
        f"ip addr del {ENDPOINT[4]}/32 dev lo; ip addr del {ENDPOINT[6]}/128 dev lo"
    ),
    "put the loopback link down": "ip link set lo down; ip link set lo up",
}

# Says its name to whoever speaks to it, and writes down whom it has seen.
LISTENER = """
import asyncio, json, sys
name, record, *where = sys.argv[1:]
log = open(record, "a", buffering=1)
class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport): self.transport = transport
    def datagram_received(self, data, peer):
        log.write(json.dumps(["udp", peer[0]]) + "\\n")
        self.transport.sendto(f"{name} {peer[0]}".encode(), peer)
async def serve(reader, writer):
    peer = writer.get_extra_info("peername")[0]
    log.write(json.dumps(["tcp", peer]) + "\\n")
    try:
        while await reader.read(65536):
            log.write(json.dumps(["said", peer]) + "\\n")
            writer.write(f"{name} {peer}".encode())
    except OSError:
        pass
    writer.close()
async def main():
    loop = asyncio.get_running_loop()
    for each in where:
        host, _, port = each.rpartition(" ")
        await asyncio.start_server(serve, host, int(port))
        if name == "real":
            await loop.create_datagram_endpoint(Datagrams, local_addr=(host, int(port)))
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
# Each line is a call of one of its functions; each answer is a line.
CLIENT = """
import json, socket, sys
held = []
def opened(to, port, source, wait, kind=socket.SOCK_STREAM):
    one = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, kind)
    one.settimeout(wait)
    if source:
        one.bind((source, 0))
    one.connect((to, port))
    return one
def talk(one):
    one.sendall(b"hello")
    return one.recv(65536).decode() or "closed"
def ask(to, port=80, source="", wait=5, kind="tcp"):
    kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
    try:
        with opened(to, port, source, wait, kinds[kind]) as one:
            return talk(one)
    except OSError as error:
        return type(error).__name__
def hold(to, count, port=80, wait=5):
    got = 0
    for _ in range(count):
        try:
            held.append(opened(to, port, "", wait))
            got += 1
        except OSError:
            pass
    return got
def use(wait=5):
    said = []
    for one in held:
        one.settimeout(wait)
        try:
            said.append(talk(one))
        except OSError as error:
            said.append(type(error).__name__)
    return said
def drop():
    while held:
        held.pop().close()
for line in sys.stdin:
    name, arguments = json.loads(line)
    print(json.dumps(globals()[name](**arguments)), flush=True)
"""


class Client:
    """What runs in a pod, on the node, or outside."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def ask(self, to: str, **more: object) -> str:
        """Open a connection and say something; return the answer, or the name of the error."""
        return str(await self._call("ask", to=to, **more))

    async def hold(self, to: str, count: int, **more: object) -> int:
        """Open *count* connections and keep them; return how many have come about."""
        return int(await self._call("hold", to=to, count=count, **more))

    async def use(self, **more: object) -> list[str]:
        """Say something on each connection that is kept; return the answers."""
        answers: list[str] = await self._call("use", **more)
        return answers

    async def drop(self) -> None:
        await self._call("drop")

    async def _call(self, name: str, **arguments: object) -> Any:  # noqa: ANN401 -- JSON
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn, asyncio.timeout(PATIENCE):
            self._process.stdin.write(json.dumps([name, arguments]).encode() + b"\n")
            return json.loads(await self._process.stdout.readline())


@dataclass(slots=True)
class Warden:
    """A warden that runs on the node."""

    process: Process
    health: Path
    log: Path

    def read_health(self) -> Health:
        return heartbeat_file.read(self.health)

    async def until(self, *, ok: bool) -> Health:
        """Wait until it is well, or not; others have no event that could be waited for."""
        async with asyncio.timeout(PATIENCE):
            while (health := self.read_health()).ok is not ok:
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.02)
        return health

    async def until_logged(self, words: str) -> None:
        """Wait until its log says *words*; it is written beside the work."""
        async with asyncio.timeout(PATIENCE):
            while words not in self.log.read_text():  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.02)

    async def until_checked(self) -> None:
        """Wait until it has looked at everything once more."""
        before = self.read_health().heartbeat
        async with asyncio.timeout(PATIENCE):
            while self.read_health().heartbeat == before:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.02)

    def resident(self) -> int:
        """Return how many bytes it has in memory."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(rollup.partition("Rss:")[2].split()[0]) * 1024

    def repairs(self) -> int:
        """Return how often it has repaired something, as it says."""
        heartbeat = self.read_health().heartbeat
        return heartbeat.repairs if heartbeat else 0

    async def until_repaired(self, before: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.repairs() <= before:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.02)

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(how)
        return await self.process.wait()


@dataclass(slots=True)
class Guarded:
    """One node, with clients in the pods `first` and `second`, on the node, and outside."""

    node: LabNode
    kind: Kind
    root: Path
    clients: dict[str, Client] = field(default_factory=dict)
    wardens: list[Warden] = field(default_factory=list)
    exits: AsyncExitStack = field(default_factory=AsyncExitStack)
    endpoint: Process | None = None

    def __getitem__(self, name: str) -> Client:
        return self.clients[name]

    def leaked(self) -> list[object]:
        """Return all that has reached the real service since the last time, but the node's own."""
        return [each for each in self._seen("real") if each[1] not in _NODE]

    def served(self) -> list[object]:
        """Return all that has reached the endpoint since the last time."""
        return list(self._seen("agent"))

    def _seen(self, name: str) -> list[list[str]]:
        record = self.root / name
        lines = record.read_text().splitlines() if record.exists() else []
        record.write_text("")
        return [json.loads(line) for line in lines]

    async def run(self, *command: str, pod: str | None = None, **environment: str) -> str:
        """Run *command* on the node, or in *pod*; return what it says, on either stream."""
        status, said = await self.tried(*command, pod=pod, **environment)
        assert status == 0, said
        return said

    async def tried(
        self, *command: str, pod: str | None = None, **environment: str
    ) -> tuple[int, str]:
        """Run *command*; return its exit status too."""
        given = ["env", *(f"{name}={text}" for name, text in environment.items())]
        process = await asyncio.create_subprocess_exec(
            *self.node.command(*given, *command, pod=pod), stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
        )
        async with asyncio.timeout(30):
            said, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode()

    async def warden(self, *flags: str, well: bool = True) -> Warden:
        """Start a warden, and wait until it is well, or says why it is not."""
        number = len(self.wardens)
        health, log = self.root / f"warden-{number}", self.root / f"warden-{number}.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *self.node.command(*rolecall(*SETTINGS, f"--health-file={health}", *flags)),
                stdin=DEVNULL,
                stdout=out,
                stderr=out,
            )
        warden = Warden(process, health, log)
        self.wardens.append(warden)
        self.exits.push_async_callback(warden.end)
        if well:
            await warden.until(ok=True)
        return warden

    async def uninstall(self) -> str:
        """End every warden and take away what they have made; return what the command says."""
        for warden in self.wardens:
            await warden.end()
        return await self.run(*rolecall(*SETTINGS, "--uninstall"))

    async def restart_endpoint(self, port: int = PORT, name: str = "agent") -> Process:
        """Start what stands in the agent's place."""
        where = [f"{address} {port}" for address in ENDPOINT.values()]
        self.endpoint = await self._listen(name, None, where)
        return self.endpoint

    async def kill_endpoint(self) -> None:
        assert self.endpoint is not None
        self.endpoint.kill()
        await self.endpoint.wait()

    async def _listen(self, name: str, pod: str | None, where: Sequence[str]) -> Process:
        record = self.root / name
        process = await asyncio.create_subprocess_exec(
            *self.node.command(*_python(LISTENER), name, str(record), *where, pod=pod),
            stdin=DEVNULL,
            stdout=PIPE,
        )
        self.exits.push_async_callback(_kill, process)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        return process

    async def _client(self, name: str, pod: str | None) -> None:
        process = await asyncio.create_subprocess_exec(
            *self.node.command(*_python(CLIENT), pod=pod), stdin=PIPE, stdout=PIPE
        )
        self.exits.push_async_callback(_kill, process)
        self.clients[name] = Client(process)


# What the host itself sends comes from its uplink.
_NODE = ("10.78.0.1", "fd78::1")
SETTINGS = (f"--connections-per-source={CAP}",)


def rolecall(*flags: str) -> tuple[str, ...]:
    """Return the command that is a warden."""
    return (sys.executable, "-m", "rolecall_cli", "warden", *flags)


def _python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", program)


async def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


@asynccontextmanager
async def guarded(kind: Kind, root: Path) -> AsyncGenerator[Guarded]:
    """Open a node of that *kind*, with everything but a warden. Raise LabError without a lab."""
    async with LabNode.opened(kind) as node, AsyncExitStack() as exits:
        one = Guarded(node, kind, root, exits=exits)
        real = [f"{address} {port}" for address in METADATA.values() for port in (80, 8080)]
        await one._listen("real", OUTSIDE, real)  # noqa: SLF001 -- of this module
        for name, address in PODS.items():
            await node.add_pod(name, IPv4Address(address))
        for name, pod in {**{each: each for each in PODS}, "node": None, OUTSIDE: OUTSIDE}.items():
            await one._client(name, pod)  # noqa: SLF001 -- of this module
        await one.run(*rolecall("--once"))
        await one.restart_endpoint()
        yield one


async def served(node: Guarded, family: int = 4, pod: str = "first", **more: float) -> bool:
    return await node[pod].ask(METADATA[family], **more) == f"agent {ADDRESSES[pod][family]}"


async def until_served(node: Guarded, family: int) -> None:
    """Ask until the endpoint answers; what is done to the rules has no event of its own here."""
    async with asyncio.timeout(PATIENCE):
        while not await served(node, family, wait=SHORT):  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0.05)


async def rules_stand(node: Guarded) -> bool:
    """Wait until all three routing rules of both families and the table are as they should be."""
    async with asyncio.timeout(PATIENCE):
        while True:
            both = [await node.run("ip", family, "rule", "show") for family in ("-4", "-6")]
            table = await node.tried("nft", "list", "table", "inet", "rolecall")
            if all(each.count("proto 183") == 3 for each in both) and table[0] == 0:
                return True
            await asyncio.sleep(0.05)
