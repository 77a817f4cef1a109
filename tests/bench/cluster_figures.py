"""Turns what was measured in a cluster into lines of the table."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import apply, reconnect, restart, sync
from bench.apply import Percentiles
from bench.arrivals import STS_SECONDS
from bench.ground import Ground, ground
from bench.listing import Read
from bench.machine import Cores
from bench.population import NODES, Population
from bench.rounds import CALM, Rounds
from bench.table import Line

PARTS = ("sync", "apply", "restart", "reconnect")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    synced: int  # Pods.
    restarted: int  # Pods.
    own: int  # Of these, on the node of the real agent.
    agents: int
    applied: int  # Deployments.
    rounds: int


FULL = Size(10_000, 5_000, 200, 1_000, 200, 3)
QUICK = Size(1_000, 500, 50, 100, 20, 1)


async def of_cluster(
    parts: Collection[str], cores: Cores, directory: Path, size: Size, say: Callable[[str], None]
) -> list[Line]:
    """Measure *parts* in clusters of their own; *say* hears of each step."""
    lines: list[Line] = []
    if "apply" in parts:
        async with ground(cores, directory / "whole", whole=True) as whole:
            say("apply: Deployments, one after another")
            rounds = Rounds(whole)
            (came,) = await rounds.measure(1, lambda run: apply.arrivals(whole, size.applied, run))
            lines += [*_of_apply(came), _others(rounds)]
    if set(parts) & {"sync", "restart", "reconnect"}:
        async with ground(cores, directory / "bare", whole=False) as bare:
            lines += await _of_many_pods(parts, bare, size, say)
    return lines


async def _of_many_pods(
    parts: Collection[str], bare: Ground, size: Size, say: Callable[[str], None]
) -> list[Line]:
    """Measure in one cluster that grows: making the pods takes longer than anything else."""
    pods, rounds, count = Population(bare.at.admin), Rounds(bare), size.rounds
    lines: list[Line] = []
    say("making namespaces and nodes")
    await pods.settle()
    if "restart" in parts:
        say(f"restart: making {size.restarted:,} pods")
        own = restart.neighbours(size.own)
        await restart.prepare(bare, own)
        await pods.grow(size.restarted)
        restarts = await rounds.measure(count, lambda run: restart.restart(bare, own, run))
        lines += _of_restart(size.restarted, restarts)
    if "reconnect" in parts:
        say(f"reconnect: making {size.agents:,} agents' pods")
        await reconnect.prepare(bare, size.agents)
        moves = await rounds.measure(count, lambda run: reconnect.reconnect(bare, size.agents, run))
        lines += _of_reconnect(moves)
    if "sync" in parts:
        say(f"sync: making {size.synced:,} pods")
        await pods.grow(size.synced)
        synced = await rounds.measure(count, lambda run: sync.first_sync(bare, run))
        reads = await rounds.measure(count, lambda _: sync.listings(bare))
        lines += _of_sync(synced, sync.medians(reads))
    return [*lines, _others(rounds)]


def _others(rounds: Rounds) -> Line:
    return Line(
        "what other processes took of the two cores, in the worst of these rounds",
        f"{rounds.worst:.0%} of one",
        f"{CALM:.0%}, or the times above are of a slower machine",
        rounds.worst <= CALM,
    )


def _of_sync(runs: list[sync.Synced], reads: dict[str, Read]) -> list[Line]:
    pods, floor = reads["stream"].pods, reads["stream-floor"]
    listing = median(run.listing for run in runs)
    peak = max(run.peak for run in runs) / 1e6
    kilobytes = floor.bytes_read / pods / 1e3
    return [
        Line(
            f"a server's first listing of {pods:,} pods of {kilobytes:.1f} KB",
            f"ready {listing:.2f} s after its begin",
            "at most 3 s",
            listing <= 3,
        ),
        Line(
            "the same, from the start of the process",
            f"{median(run.start for run in runs):.2f} s, "
            f"CPU {median(run.cpu for run in runs):.2f} s",
        ),
        Line(
            "server's peak memory (RSS) until then", f"{peak:.0f} MB", "at most 150 MB", peak <= 150
        ),
        *(_listing_line(how, reads[how], reads[f"{how}-floor"]) for how in ("stream", "pages")),
    ]


def _listing_line(how: str, ours: Read, floor: Read) -> Line:
    return Line(
        f"listing them as {'a stream' if how == 'stream' else how}, beside dropping the bytes",
        f"{ours.seconds:.2f} s and {floor.seconds:.2f} s, "
        f"CPU {ours.cpu:.2f} s and {floor.cpu:.2f} s, {ours.cpu / floor.cpu:.1f} times",
    )


def _of_apply(arrivals: list[apply.Arrival]) -> list[Line]:
    total = Percentiles.of(each.total for each in arrivals)
    bound = Percentiles.of(each.known - each.created for each in arrivals)
    ours = Percentiles.of(each.ours for each in arrivals)
    return [
        Line(
            "Deployment created to its pod's request answered, "
            f"STS taking {STS_SECONDS * 1e3:.0f} ms",
            f"{_milliseconds(total)} ({len(arrivals)} pods)",
        ),
        Line("of that the cluster's: until its pod has an address", _milliseconds(bound)),
        Line(
            "of that ours: over the address, and over STS since the pod was bound",
            _milliseconds(ours),
            "p99 at most 20 ms",
            ours.p99 <= 0.02,
        ),
    ]


def _milliseconds(value: Percentiles) -> str:
    return f"p50 {value.p50 * 1e3:.1f} ms, p99 {value.p99 * 1e3:.1f} ms"


def _of_restart(pods: int, runs: list[restart.Restarted]) -> list[Line]:
    ready = median(run.ready for run in runs)
    calls = sum(run.sts_calls for run in runs)
    asked, served = sum(run.asked for run in runs), sum(run.served for run in runs)
    return [
        Line(
            f"server's restart with {pods:,} pods on {NODES + 1} nodes with agents",
            f"ready {ready:.2f} s after its start",
            "at most 3 s",
            ready <= 3,
        ),
        Line(
            f"STS calls for the {runs[0].sessions} sessions that agents held",
            f"{calls} in {len(runs)} restarts",
            "none",
            calls == 0,
        ),
        Line(
            "a pod's requests meanwhile",
            f"{served:,} of {asked:,} served",
            "all",
            served == asked,
        ),
        Line(
            "the last agent back after the restart",
            f"{median(run.all_in for run in runs):.2f} s after the server's start",
        ),
    ]


def _of_reconnect(runs: list[reconnect.Reconnected]) -> list[Line]:
    agents = runs[0].agents
    reviews = max(run.reviews for run in runs)
    return [
        Line(
            f"{agents:,} agents lose their server and go to another",
            f"half within {median(run.half_in for run in runs):.2f} s, "
            f"all within {median(run.all_in for run in runs):.2f} s",
        ),
        Line(
            "TokenReviews that the API server gets of that",
            f"{reviews:,}, at most {max(run.most_in_a_second for run in runs):,} in a second",
            f"one for each agent, {agents:,}",
            reviews <= agents,
        ),
        Line(
            "the first server gone after its SIGTERM",
            f"{median(run.old_ended for run in runs):.2f} s",
        ),
        Line(
            "the other server's CPU and peak memory (RSS)",
            f"{median(run.server_cpu for run in runs):.2f} s, "
            f"{max(run.peak for run in runs) / 1e6:.0f} MB",
        ),
    ]
