"""What a quiet pod of a guarded node feels of a hostile neighbour: in the lab, behind the warden.

Everything is as on a node: pods are network namespaces, and the warden leads them from the
metadata address to the agent. What is counted is what the quiet pod waited, and what was wrong.
"""

import asyncio
import json
import os
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.asking import ROLE_LIST
from bench.machine import Cores, path_of
from bench.processes import python, running
from bench.table import Line
from lab import arp_flood
from lab.rig import Rig, rig
from rolecall_cli.lab import LabError

_PROMISED = 0.02  # seconds, p99
_BEGINNING = 1.5  # seconds until a neighbour does what it does
_PODS = """
kind: Namespace
metadata: {name: bench, annotations: {iam.amazonaws.com/permitted: '.*'}}
---
kind: Pod
metadata: {name: quiet, namespace: bench, annotations: {iam.amazonaws.com/role: quiet}}
---
kind: Pod
metadata: {name: noisy, namespace: bench, annotations: {iam.amazonaws.com/role: noisy}}
"""
# Addresses that no pod has, all led to one namespace.
_STRANGERS, _STRANGER, _FIRST_STRANGER = "10.77.248.0/22", "10.77.247.1", "10.77.248.1"
ALONE = "alone"
# By what is said of them: the pod that they are, and what runs in it.
_FLOODS = {
    "a pod that sends byte by byte on 1,000 connections": ("trickle", 1000),
    "a pod that opens and resets connections as fast as it can": ("churn", 200),
    "a pod of 600 processes that keep a connection each": ("keep", 600),
    "a pod that pipelines without end on 1,000 connections": ("pipeline", 1000),
}
_ARP = "a pod that floods its node with ARP requests"
_UNKNOWN = "500 unknown addresses that wait"


@dataclass(frozen=True, slots=True)
class Felt:
    """What the quiet pod saw in one round."""

    times: list[float]
    wrong: list[int]  # The statuses of wrong answers; 0 where there was none.

    @property
    def p99(self) -> float:
        return sorted(self.times)[int(len(self.times) * 0.99)]


@dataclass(frozen=True, slots=True)
class Quiet:
    """The quiet pod, which knows its role's name and its own key."""

    lab: Rig
    key: str
    cores: Cores
    directory: Path

    async def beside(self, command: list[str], seconds: int) -> Felt:
        """Ask for *seconds* while *command* runs; none: alone."""
        core, words = self.cores.asking, (str(seconds), "quiet", self.key)
        async with AsyncExitStack() as stack:
            if command:
                neighbour = running("neighbour", command, core=core, directory=self.directory)
                await stack.enter_async_context(neighbour)
                await asyncio.sleep(_BEGINNING)
            asking = self.lab.node.command(*python("bench.quiet", *words), pod="quiet")
            said = json.loads(await _said([path_of("taskset"), "-c", str(core), *asking]))
        return Felt(said["times"], said["wrong"])


async def of_neighbours(
    cores: Cores, directory: Path, rounds: int, seconds: int, progress: Callable[[str], None]
) -> list[Line]:
    """Return the quiet pod's times, alone and beside each neighbour, in each of *rounds*."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores.measured})  # Whatever the lab starts is there, too.
    try:
        async with rig(directory / "lab") as lab:
            neighbours = await _prepare(lab)
            (document,) = await lab.ask("quiet", ("GET", f"{ROLE_LIST}quiet"))
            key = str(json.loads(document["body"])["AccessKeyId"])
            quiet = Quiet(lab, key, cores, directory)
            felt: dict[str, list[Felt]] = {name: [] for name in neighbours}
            for _ in range(rounds):
                for name, command in neighbours.items():
                    progress(f"beside {name}" if command else name)
                    felt[name].append(await quiet.beside(command, seconds))
    except LabError as error:
        return [Line("a quiet pod beside hostile neighbours", f"left out: {error}")]
    finally:
        os.sched_setaffinity(0, before)
    return [_line(name, each) for name, each in felt.items()]


async def _prepare(lab: Rig) -> dict[str, list[str]]:
    """Make the pods, and return the commands that are neighbours, by what they do."""
    pods = {pod.name: str(pod.addresses[0]) for pod in await lab.apply("bench", _PODS)}
    for name in pods:
        await lab.until(name, name)
    await lab.add_other("strangers", _STRANGER)
    await _lead_strangers(lab)
    metadata = ("--host", "169.254.169.254")
    floods = {
        what: python("bench.flood", kind, "80", pods["noisy"], str(count), *metadata)
        for what, (kind, count) in _FLOODS.items()
    }
    strangers = ("keep", "80", _FIRST_STRANGER, "500", "--sources", "500", *metadata)
    target = await _gateway(lab)
    return {
        ALONE: [],
        **{what: lab.node.command(*each, pod="noisy") for what, each in floods.items()},
        _ARP: lab.node.command(*python(arp_flood.__name__, target, pods["noisy"]), pod="noisy"),
        _UNKNOWN: lab.node.command(*python("bench.flood", *strangers), pod="strangers"),
    }


async def _lead_strangers(lab: Rig) -> None:
    """Have all those addresses routed to one namespace, in which each of them is its own."""
    routes = await _said(lab.node.command("ip", "-j", "route", "get", _STRANGER))
    link = json.loads(routes)[0]["dev"]
    await _said(lab.node.command("ip", "route", "add", _STRANGERS, "dev", link))
    local = ("ip", "route", "add", "local", _STRANGERS, "dev", "lo")
    await _said(lab.node.command(*local, pod="strangers"))


async def _gateway(lab: Rig) -> str:
    routes = await _said(lab.node.command("ip", "-j", "route", "get", "1.1.1.1", pod="noisy"))
    return str(json.loads(routes)[0]["gateway"])


async def _said(command: list[str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    said, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command[-3:]} failed: {errors.decode()[-2000:]}")
    return said.decode()


def _line(name: str, rounds: list[Felt]) -> Line:
    p99, worst = median(each.p99 for each in rounds), max(max(each.times) for each in rounds)
    count, wrong = sum(len(each.times) for each in rounds), sum(len(each.wrong) for each in rounds)
    figure = f"p99 {p99 * 1e3:.1f} ms, worst {worst * 1e3:.1f} ms, {wrong} of {count:,} wrong"
    if name == ALONE:
        return Line("a quiet pod of a guarded node, alone", figure, "none wrong", wrong == 0)
    promised = f"p99 at most {_PROMISED * 1e3:.0f} ms, none wrong"
    return Line(f"the same beside {name}", figure, promised, p99 <= _PROMISED and wrong == 0)
