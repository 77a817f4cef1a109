"""A Kubernetes cluster to measure in: the test cluster, and in it Rolecall as the chart sets it.

What is measured has a core to itself here as well; the cluster, STS and whoever asks share the
other, so that a server's own time is not mixed up with the API server's.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.asking import ask
from bench.machine import Cores
from bench.nginx import listens
from bench.processes import Running, python, running
from bench.system import KEYS, Sts, sts_fake
from chart.rendering import CHART
from cluster.serving import RELEASE, SPACE, Serving, serving
from testcluster.binaries import Binaries
from testcluster.build import missing
from testcluster.cluster import Cluster
from testcluster.cluster import running as running_cluster
from testcluster.controlplane import BARE, WHOLE
from testcluster.recipes import recipes
from testcluster.versions import NEWEST

SERVERS = ("server", "server-2")
_PATIENCE = 120.0  # seconds
# Every TokenReview leaves a line, and nothing else does: counted where they arrive.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "Metadata",
            "resources": [{"group": "authentication.k8s.io", "resources": ["tokenreviews"]}],
        },
        {"level": "None"},
    ],
}


def not_here() -> str | None:
    """Return why there can be no cluster on this machine; None where there can."""
    if missing(recipes((NEWEST,))):
        return "the test cluster's binaries are not built: docs/test-cluster.md"
    return None


@dataclass(frozen=True, slots=True)
class Started:
    """A server that lets agents in, and how it came to that: moments of `time.perf_counter`."""

    process: Running
    started: float
    listing: float  # It has said that it serves, and begun to list.
    ready: float


@dataclass(frozen=True, slots=True)
class Ground:
    """A cluster with the chart installed, and an STS; what serves is started by who measures."""

    at: Serving
    sts: Sts
    cores: Cores
    directory: Path

    @contextlib.asynccontextmanager
    async def server(self, name: str = "server", run: str = "") -> AsyncGenerator[Started]:
        """Run the server that goes by *name*; *run* tells several runs of it apart."""
        log, flags = f"{name}{run}", self.at.server_flags(name)
        started, wall = time.perf_counter(), time.time()
        async with running(
            log, python("rolecall_cli", "server", *flags),
            core=self.cores.measured, directory=self.directory, environment=KEYS,
        ) as process:  # fmt: skip
            ready = await self._ready(process, self.at.port(f"{name}-admin"))
            yield Started(process, started, started + _listing(process) - wall, ready)

    @contextlib.asynccontextmanager
    async def agent(self, node: str) -> AsyncGenerator[Running]:
        """Run the agent of *node*, whose token is there; give it once it has a snapshot."""
        flags = self.at.agent_flags(name=node)
        async with running(
            node, python("rolecall_cli", "agent", *flags),
            core=self.cores.measured, directory=self.directory,
        ) as process:  # fmt: skip
            await self._ready(process, self.at.port(f"{node}-admin"))
            yield process

    def reviews(self) -> list[float]:
        """Return when the API server was asked for each TokenReview so far, as Unix time."""
        lines = (self.directory / "audit.log").read_text().splitlines()
        return sorted(_moment(json.loads(line)["requestReceivedTimestamp"]) for line in lines)

    @contextlib.contextmanager
    def pinned(self) -> Iterator[None]:
        """Leave the measured core to what is measured, for as long as the block runs."""
        everything = [each.pid for each in self.at.cluster.control_plane.processes]
        everything.append(os.getpid())
        before = os.sched_getaffinity(0)
        try:
            for pid in everything:
                _pin(pid, {self.cores.asking})
            yield
        finally:
            for pid in everything:
                _pin(pid, before)

    async def _ready(self, process: Running, probes: int) -> float:
        try:
            async with asyncio.timeout(_PATIENCE):
                while True:
                    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                        answer = await ask(probes, "/readyz")
                        if answer.status == 200:
                            return answer.at
                    await asyncio.sleep(0.005)
        except TimeoutError:
            said = process.log.read_text()[-2000:]
            raise RuntimeError(f"{process.name} was never ready; it said:\n{said}") from None


@contextlib.asynccontextmanager
async def ground(cores: Cores, directory: Path, *, whole: bool) -> AsyncGenerator[Ground]:
    """Run a cluster, *whole* or its API alone, and prepare everything that agents need in it."""
    with _cluster(directory, whole=whole) as cluster:
        await cluster.helm(
            *("install", RELEASE, str(CHART), "--namespace", SPACE, "--create-namespace"),
            *(("--wait", "--timeout", "120s") if whole else ()),
        )
        async with serving(cluster, directory) as at, sts_fake(cores, directory) as sts:
            at.ports |= {"sts": sts.port, **_lasting_ports()}
            yield Ground(at, sts, cores, directory)


@contextlib.contextmanager
def _cluster(directory: Path, *, whole: bool) -> Iterator[Cluster]:
    directory.mkdir()
    policy, log = directory / "audit.json", directory / "audit.log"
    policy.write_text(json.dumps(_AUDIT_POLICY))
    log.touch()
    arguments = (f"--audit-policy-file={policy}", f"--audit-log-path={log}")
    parts = WHOLE if whole else BARE
    with running_cluster(Binaries(NEWEST), parts, api_arguments=arguments) as cluster:
        yield cluster


def _lasting_ports() -> dict[str, int]:
    """Return ports for servers that start again, or late: no outgoing connection takes them."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    free = (port for port in range(lowest - 1, 1024, -1) if not listens(port))
    names = (f"{server}{part}" for server in SERVERS for part in ("", "-admin"))
    return dict(zip(names, free, strict=False))


def _pin(pid: int, cores: set[int]) -> None:
    for thread in _threads(pid):
        with contextlib.suppress(ProcessLookupError):  # It has ended since.
            os.sched_setaffinity(thread, cores)


def _threads(pid: int) -> list[int]:
    return [int(each.name) for each in Path(f"/proc/{pid}/task").iterdir()]


def _listing(process: Running) -> float:
    """Return when the server said that it serves, as Unix time: it lists from then on."""
    for line in process.log.read_text().splitlines():
        entry = json.loads(line)
        if entry["message"] == "serving agents":
            return _moment(entry["time"])
    raise RuntimeError(f"{process.name} never said that it serves")


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
