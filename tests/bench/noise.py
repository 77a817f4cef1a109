"""What one pod sees of its endpoint while another pod takes of it what it can get."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from bench.asking import ROLE_LIST, ask
from bench.machine import Cores
from bench.manifests import BenchPod, write
from bench.processes import python, running
from bench.system import System
from bench.table import Line

QUIET, NOISY = "127.64.60.1", "127.64.60.2"
# What the noisy pod does, and on how many connections: twice as many as the endpoint keeps of a
# pod, or just as many. (New ones that come faster than they can be taken are for the warden to
# limit.)
NOISES = {
    "idle": (2000, "that say nothing"),
    "pipeline": (1000, "that pipeline without end"),
    "deaf": (1000, "that never read"),
    "trickle": (1000, "that send byte by byte"),
}
# The least patient SDK (Go v2) waits for 500 ms, and the asking core is the noisy pod's as well.
_PROMISED = 0.1  # seconds
_GROWTH = 24e6  # bytes
_PAUSE = 0.005  # seconds between two questions of the quiet pod
_BEGINNING = 1.0  # seconds until all connections are open


async def of_noise(
    system: System, cores: Cores, directory: Path, seconds: int, progress: Callable[[str], None]
) -> list[Line]:
    """Return the quiet pod's times, alone and beside each noise, and what the agent grew by."""
    pods = [BenchPod("quiet", QUIET, "quiet"), BenchPod("noisy", NOISY, "noisy")]
    write(system.manifests, "noise", pods)
    await _warm(system)
    alone = await _asked(system, seconds)
    before = most = system.agent.resident_bytes()
    lines = [Line("a pod's list on a new connection, p99, alone", f"{alone * 1e3:.1f} ms")]
    for kind, (count, what) in NOISES.items():
        progress(f"beside a pod with {count:,} connections {what}")
        command = python("bench.flood", kind, str(system.port), NOISY, str(count))
        async with running(f"flood-{kind}", command, core=cores.asking, directory=directory):
            await asyncio.sleep(_BEGINNING)
            beside = await _asked(system, seconds)
            most = max(most, system.agent.resident_bytes())
        lines.append(
            Line(
                f"the same beside a pod with {count:,} connections {what}",
                f"{beside * 1e3:.1f} ms",
                f"at most {_PROMISED * 1e3:.0f} ms",
                beside <= _PROMISED,
            )
        )
    growth = most - before
    figure = f"{growth / 1e6:.1f} MB"
    promised = f"at most {_GROWTH / 1e6:.0f} MB"
    return [
        *lines,
        Line("agent's memory (RSS), grown by them", figure, promised, growth <= _GROWTH),
    ]


async def _warm(system: System) -> None:
    for _ in range(5):
        if (await ask(system.port, ROLE_LIST, source=QUIET)).status == 200:
            return
    raise RuntimeError("the agent has no role for the bench's quiet pod")


async def _asked(system: System, seconds: int) -> float:
    """Ask again and again; return the time within which all but one in a hundred were answered."""
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        answer = await ask(system.port, ROLE_LIST, source=QUIET)
        if answer.status != 200:
            raise RuntimeError(f"the quiet pod was answered {answer.status}")
        times.append(answer.at - begun)
        await asyncio.sleep(_PAUSE)
    return sorted(times)[int(len(times) * 0.99)]
