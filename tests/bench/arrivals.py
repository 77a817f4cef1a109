"""Pods that come and ask at once: when each has its answer, and after how many STS calls."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import quantiles

from bench.asking import ROLE_LIST, Answer, ask
from bench.manifests import BASE_ARN, BenchPod, write
from bench.system import System

# What STS takes, as in the peers' measurements.
STS_SECONDS = 0.1
# How long before its pod a request comes: enough to be parked, far from the 0.9 s that it may wait.
_AHEAD = 0.15


@dataclass(frozen=True, slots=True)
class Burst:
    """Many pods at once; *last* is the last answer, in seconds from the first pod's arrival."""

    pods: int
    answered: int
    last: float
    calls: int


async def burst(system: System, name: str, *, pods: int, roles: int, network: int) -> Burst:
    """Let *pods* pods with *roles* roles appear at once, each with its request waiting."""
    system.sts.takes(STS_SECONDS)
    wanted = [
        BenchPod(f"{name}-{number}", f"127.{network}.0.{number}", f"{name}-{number % roles}")
        for number in range(1, pods + 1)
    ]
    answers = await _meet(system, name, wanted)
    came = _moments(system)
    first = min(came[pod.name] for pod in wanted)
    good = [answer for answer in answers if answer.status == 200]
    return Burst(
        pods=pods,
        answered=len(good),
        last=max((answer.at for answer in good), default=first) - first,
        calls=_calls(system, {pod.role for pod in wanted if pod.role}),
    )


@dataclass(frozen=True, slots=True)
class Lateness:
    """What a request waited over what STS took, in seconds."""

    pods: int
    answered: int
    p50: float
    p99: float


async def late_pods(system: System, *, pods: int, network: int) -> Lateness:
    """Let *pods* pods appear one after another, each after its request."""
    system.sts.takes(STS_SECONDS)
    answers = []
    for number in range(1, pods + 1):
        pod = BenchPod(f"late-{number}", f"127.{network}.0.{number}", f"late-{number}")
        answers += await _meet(system, pod.name, [pod])
    came = _moments(system)
    over = [
        answer.at - came[f"late-{number}"] - STS_SECONDS
        for number, answer in enumerate(answers, start=1)
    ]
    cuts = quantiles(over, n=100, method="inclusive")
    return Lateness(
        pods=pods,
        answered=sum(answer.status == 200 for answer in answers),
        p50=cuts[49],
        p99=cuts[98],
    )


async def unknown_source(system: System, *, network: int) -> list[tuple[int, float]]:
    """Ask from 20 addresses without a pod; return each status and how long it took."""
    started = time.perf_counter()
    answers = await asyncio.gather(
        *(
            ask(system.port, ROLE_LIST, source=f"127.{network}.0.{number}")
            for number in range(1, 21)
        )
    )
    return [(answer.status, answer.at - started) for answer in answers]


async def _meet(system: System, name: str, pods: list[BenchPod]) -> list[Answer]:
    """Ask for every pod, then let the pods appear; return the answers."""
    async with asyncio.TaskGroup() as tasks:
        asking = [
            tasks.create_task(
                ask(system.port, f"{ROLE_LIST}{pod.role}", source=pod.address),
                name=f"ask for {pod.name}",
            )
            for pod in pods
        ]
        await asyncio.sleep(_AHEAD)
        write(system.manifests, name, pods)
    return [task.result() for task in asking]


def _moments(system: System) -> dict[str, float]:
    """Return when each pod, by name, first reached the server's engine."""
    moments: dict[str, float] = {}
    for line in system.stamps.read_text().splitlines():
        name, moment = line.split()
        moments.setdefault(name, float(moment))
    return moments


def _calls(system: System, roles: Iterable[str]) -> int:
    calls = system.sts.calls()
    return sum(calls.get(BASE_ARN + role, 0) for role in roles)
