"""The warm role document: requests per second as a share of nginx's, on the same core."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.asking import ROLE_LIST, ask
from bench.bare import bare
from bench.load import CALM, Case, Measured, undisturbed
from bench.machine import Cores
from bench.manifests import BenchPod, write
from bench.nginx import nginx
from bench.processes import Running
from bench.system import System

_ROLE = "reader"
PODS = 100
DIFFERENT = "64 clients, requests that all differ"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The medians of one case: ours beside nginx's, and a bare protocol's."""

    case: Case
    ours: Measured
    nginx: Measured
    bare: Measured | None = None  # The least that Python can do, where that is told.

    @property
    def share(self) -> float:
        return self.ours.rate / self.nginx.rate

    @property
    def p99_ratio(self) -> float:
        return self.ours.p99 / self.nginx.p99

    @property
    def cpu_ratio(self) -> float:
        return self.ours.cpu_per_10k / self.nginx.cpu_per_10k


@dataclass(frozen=True, slots=True)
class Contender:
    url: str
    process: Running


@dataclass(frozen=True, slots=True)
class Effort:
    """How often and how long each case is run."""

    rounds: int
    seconds: int


async def compare(
    system: System, cores: Cores, directory: Path, effort: Effort, progress: Callable[[str], None]
) -> list[Comparison]:
    """Let both serve every case in turn, several times, and take medians."""
    write(system.manifests, "pods", _pods())
    path = ROLE_LIST + _ROLE
    document = await _warm(system, path)
    cases = _cases(await _token(system))
    core = cores.measured
    async with (
        nginx(document, core=core, directory=directory) as (floor, worker),
        bare(document, core=core, directory=directory) as (least, protocol),
    ):
        contenders = {
            "nginx": Contender(floor + path, worker),
            "rolecall": Contender(system.url + path, system.agent),
            "bare": Contender(least + path, protocol),
        }
        runs: dict[tuple[str, str], list[Measured]] = {}
        for case, name in itertools.product(cases * effort.rounds, contenders):
            if name == "bare" and case.name != DIFFERENT:
                continue
            progress(f"{case.name}: {name}")
            one = contenders[name]
            run = await undisturbed(one.url, one.process, case, effort.seconds, cores)
            runs.setdefault((case.name, name), []).append(run)
    return [_comparison(case, runs) for case in cases]


def _comparison(case: Case, runs: Mapping[tuple[str, str], list[Measured]]) -> Comparison:
    bare_runs = runs.get((case.name, "bare"))
    return Comparison(
        case,
        medians(runs[case.name, "rolecall"]),
        medians(runs[case.name, "nginx"]),
        None if bare_runs is None else medians(bare_runs),
    )


def medians(runs: list[Measured]) -> Measured:
    """Return the median of each figure over the runs that nobody disturbed, and all failures."""
    failures = sum(run.failures for run in runs)
    runs = [run for run in runs if run.foreign <= CALM] or runs
    return Measured(
        rate=median(run.rate for run in runs),
        cpu_per_10k=median(run.cpu_per_10k for run in runs),
        p50=median(run.p50 for run in runs),
        p99=median(run.p99 for run in runs),
        p999=median(run.p999 for run in runs),
        failures=failures,
        foreign=max(run.foreign for run in runs),
    )


def _pods() -> list[BenchPod]:
    # wrk asks from 127.0.0.1; the others make it a node of 100 pods.
    others = [
        BenchPod(f"pod-{number}", f"127.64.0.{number}", f"role-{number}")
        for number in range(1, PODS)
    ]
    return [BenchPod("reader", "127.0.0.1", _ROLE), *others]


async def _warm(system: System, path: str) -> str:
    """Wait until the document is at hand. The endpoint holds a request for 0.9 s: hence tries."""
    for _ in range(5):
        answer = await ask(system.port, path)
        if answer.status == 200:
            return answer.body
    raise RuntimeError(f"the agent answered {answer.status} for the bench's own pod")


async def _token(system: System) -> str:
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "21600", "Content-Length": "0"}
    return (await ask(system.port, "/latest/api/token", method="PUT", headers=ttl)).body


def _cases(token: str) -> list[Case]:
    plain: Mapping[str, str] = {}
    return [
        Case("1 client", 1, plain),
        Case("64 clients", 64, plain),
        Case("256 clients", 256, plain),
        Case("64 clients, a connection per request", 64, {"Connection": "close"}),
        Case("64 clients, IMDSv2 token and an SDK's headers", 64, _sdk_headers(token)),
        Case(DIFFERENT, 64, plain, "differ.lua"),
        Case(
            "64 clients, token, list and document, a connection each",
            64,
            {**_sdk_headers(token), "Connection": "close"},
            "sdk.lua",
        ),
    ]


def _sdk_headers(token: str) -> dict[str, str]:
    """Return what botocore sends when it asks for the document."""
    return {
        "Accept-Encoding": "identity",
        "x-aws-ec2-metadata-token": token,
        "User-Agent": "Botocore/1.44.5 Python/3.11.7 Linux/6.18.44",
    }
