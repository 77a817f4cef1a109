"""Runs the benchmarks and prints their tables."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import cluster_figures, figures
from bench.endpoint import Effort, compare
from bench.ground import not_here
from bench.machine import Cores, described
from bench.neighbours import of_neighbours
from bench.noise import of_noise
from bench.system import system
from bench.table import Line, endpoint_table, lines_table

PARTS = ("endpoint", "arrivals", "noise", "neighbours", "memory", "sts", *cluster_figures.PARTS)


def main() -> int:
    chosen = _arguments()
    try:
        cores = Cores.of_this_machine()
        _say(described(cores))
        with tempfile.TemporaryDirectory(prefix="rolecall-bench-") as directory:
            asyncio.run(_measure(chosen, cores, Path(directory)))
    except RuntimeError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each case is run (3)")
    parser.add_argument("--seconds", type=int, default=5, help="how long each run takes (5)")
    parser.add_argument("--quick", action="store_true", help="one round of one second, fewer pods")
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="measure this part; may be repeated"
    )
    return parser.parse_args()


async def _measure(chosen: argparse.Namespace, cores: Cores, directory: Path) -> None:
    parts = chosen.only or PARTS
    lines: list[Line] = []
    if {"endpoint", "arrivals", "noise"} & set(parts):
        async with system(cores, directory) as running:
            if "endpoint" in parts:
                effort = Effort(1, 1) if chosen.quick else Effort(chosen.rounds, chosen.seconds)
                comparisons = await compare(running, cores, directory, effort, _progress())
                _say(endpoint_table(comparisons))
                lines += figures.of_endpoint(comparisons, running)
            if "arrivals" in parts:
                lines += await figures.of_arrivals(running, quick=chosen.quick)
            if "noise" in parts:
                seconds = 2 if chosen.quick else 2 * chosen.seconds
                lines += await of_noise(running, cores, directory, seconds, _progress())
    if "neighbours" in parts:
        rounds, seconds = (1, 2) if chosen.quick else (chosen.rounds, 2 * chosen.seconds)
        lines += await of_neighbours(cores, directory, rounds, seconds, _progress())
    if "memory" in parts:
        lines += figures.of_memory()
    if "sts" in parts:
        lines += figures.of_sts(cores, quick=chosen.quick)
    lines += await _of_cluster(set(parts) & set(cluster_figures.PARTS), chosen, cores, directory)
    _say(lines_table(lines))


async def _of_cluster(
    parts: set[str], chosen: argparse.Namespace, cores: Cores, directory: Path
) -> list[Line]:
    reason = not_here() if parts else None
    if reason is not None:
        _say(f"left out: {', '.join(sorted(parts))}: {reason}")
        return []
    size = cluster_figures.QUICK if chosen.quick else cluster_figures.FULL
    return await cluster_figures.of_cluster(parts, cores, directory, size, _progress())


def _say(text: str) -> None:
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


def _progress() -> Callable[[str], None]:
    """Return what shows the step being taken: on a terminal, one line that rewrites itself."""
    if not sys.stderr.isatty():
        return lambda _step: None
    return lambda step: print(f"\r\033[K{step}", end="", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
