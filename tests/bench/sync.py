"""A server's first listing of a large cluster: how long until it is synced, and its memory."""

import asyncio
import json
from dataclasses import dataclass
from statistics import median

from bench.ground import Ground
from bench.listing import Read
from bench.machine import path_of
from bench.processes import python

HOWS = ("stream", "stream-floor", "pages", "pages-floor")


@dataclass(frozen=True, slots=True)
class Synced:
    """One start: seconds until synced, from the listing's begin and from the process's."""

    listing: float
    start: float
    cpu: float
    peak: int


async def first_sync(ground: Ground, run: int) -> Synced:
    """Start a server, which lists everything, and read what it came to."""
    async with ground.server(run=f"-sync-{run}") as server:
        return Synced(
            listing=server.ready - server.listing,
            start=server.ready - server.started,
            cpu=server.process.cpu_seconds(),
            peak=server.process.peak_bytes(),
        )


async def listings(ground: Ground) -> dict[str, Read]:
    """List each way once, each in a process of its own."""
    return {how: await _listing(ground, how) for how in HOWS}


def medians(rounds: list[dict[str, Read]]) -> dict[str, Read]:
    return {how: _middle([each[how] for each in rounds]) for how in HOWS}


async def _listing(ground: Ground, how: str) -> Read:
    command = python("bench.listing", how, str(ground.directory / "kubeconfig"))
    process = await asyncio.create_subprocess_exec(
        path_of("taskset"), "-c", str(ground.cores.measured), *command,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, problem = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"listing by {how} failed: {problem.decode().strip()}")
    return Read(**json.loads(said))


def _middle(reads: list[Read]) -> Read:
    return Read(
        pods=reads[0].pods,
        seconds=median(each.seconds for each in reads),
        cpu=median(each.cpu for each in reads),
        bytes_read=reads[0].bytes_read,
    )
