"""Puts load on a server with wrk, and reads what it measured."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.machine import path_of
from bench.processes import Running

_REPORT = Path(__file__).with_name("report.lua")


@dataclass(frozen=True, slots=True)
class Case:
    """One way to ask: how many clients, and with which headers."""

    name: str
    clients: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run of wrk saw; latencies in milliseconds."""

    rate: float
    cpu_per_10k: float
    p50: float
    p99: float
    p999: float
    failures: int


async def load(url: str, server: Running, case: Case, seconds: int, *, core: int) -> Measured:
    """Ask *url* of *server* for so many *seconds*, from *core*."""
    before = server.cpu_seconds()
    headers = [f"-H{name}: {value}" for name, value in case.headers.items()]
    wrk = await asyncio.create_subprocess_exec(
        path_of("taskset"), "-c", str(core),
        path_of("wrk"), "-t1", f"-c{case.clients}", f"-d{seconds}s", f"-s{_REPORT}", *headers, url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await wrk.communicate()
    return parsed(said.decode(), server.cpu_seconds() - before)


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
