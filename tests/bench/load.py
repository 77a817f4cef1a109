"""Puts load on a server with wrk, and reads what it measured."""

import asyncio
import json
import resource
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.machine import Cores, path_of
from bench.processes import Running, busy_seconds

# Beyond this, another process disturbed the run: shares of nginx would mean little.
CALM = 0.03


@dataclass(frozen=True, slots=True)
class Case:
    """One way to ask: how many clients, with which headers, and by which script of wrk."""

    name: str
    clients: int
    headers: Mapping[str, str]
    script: str = "report.lua"  # Always the same request; beside this module, as the others.


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run of wrk saw; latencies in milliseconds.

    *foreign* is what anybody else took of the two cores meanwhile, as a share of one.
    """

    rate: float
    cpu_per_10k: float
    p50: float
    p99: float
    p999: float
    failures: int
    foreign: float = 0.0


async def undisturbed(
    url: str, server: Running, case: Case, seconds: int, cores: Cores
) -> Measured:
    """Ask until a run had its cores to itself, three times at most; return the calmest run."""
    calmest = await _load(url, server, case, seconds, cores)
    for _ in range(2):
        if calmest.foreign <= CALM:
            break
        again = await _load(url, server, case, seconds, cores)
        calmest = min(calmest, again, key=lambda run: run.foreign)
    return calmest


async def _load(url: str, server: Running, case: Case, seconds: int, cores: Cores) -> Measured:
    before, busy = server.cpu_seconds(), _busy(cores)
    wrk_before = _waited_for()
    script = Path(__file__).with_name(case.script)
    headers = [f"-H{name}: {value}" for name, value in case.headers.items()]
    wrk = await asyncio.create_subprocess_exec(
        path_of("taskset"), "-c", str(cores.asking),
        path_of("wrk"), "-t1", f"-c{case.clients}", f"-d{seconds}s", f"-s{script}", *headers, url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await wrk.communicate()
    own = server.cpu_seconds() - before
    foreign = _busy(cores) - busy - own - (_waited_for() - wrk_before)
    return replace(parsed(said.decode(), own), foreign=max(0.0, foreign / seconds))


def _busy(cores: Cores) -> float:
    return busy_seconds(cores.measured) + busy_seconds(cores.asking)


def _waited_for() -> float:
    """Return the CPU seconds of every child that has ended, such as a wrk."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def parsed(said: str, cpu_seconds: float) -> Measured:
    """Read wrk's last line. Raises RuntimeError with all that wrk *said* where it is no report."""
    try:
        report = json.loads(said.strip().rpartition("\n")[2])
    except json.JSONDecodeError:
        raise RuntimeError(f"wrk failed: {said.strip()}") from None
    requests = max(1, report["requests"])
    return Measured(
        rate=report["requests"] / (report["microseconds"] / 1e6),
        cpu_per_10k=cpu_seconds / requests * 10_000,
        p50=report["p50"] / 1e3,
        p99=report["p99"] / 1e3,
        p999=report["p999"] / 1e3,
        failures=report["failures"],
    )
