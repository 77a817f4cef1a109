"""STS calls per second and core: our issuer beside boto3 in threads, against the strict fake.

`python -m bench.sts` prints the comparison; `python -m bench.sts ours URL CALLS` is one run of it,
in a process of its own.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from bench.machine import Cores

_ROLE = "arn:aws:iam::111122223333:role/role-"
_IN_FLIGHT = 32
# The base credentials of the fake, as its command line has them, and nothing of this machine's.
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE00",
    "AWS_SECRET_ACCESS_KEY": "example/secret/of/the/strict/sts/fake000",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_REGION": "eu-west-1",
}


@dataclass(frozen=True, slots=True)
class Run:
    """One client's run: *cpu* is processor seconds per call, *rate* calls per second."""

    rate: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians of all rounds, and the median of each round's own ratios."""

    ours: Run
    boto3: Run
    # How many of our calls one core makes in the time of one of boto3's.
    ratio: float


def compare(cores: Cores, *, rounds: int = 5, calls: int = 3200) -> Comparison:
    """Run both clients in turn on one core, the fake on the other."""
    pairs = []
    with _fake(cores.asking) as url:
        for _ in range(rounds):
            ours = _run("ours", url, calls, cores.measured)
            boto3 = _run("boto3", url, calls // 4, cores.measured)
            pairs.append((ours, boto3))
    return Comparison(
        _median([ours for ours, _ in pairs]),
        _median([boto3 for _, boto3 in pairs]),
        statistics.median(boto3.cpu / ours.cpu for ours, boto3 in pairs),
    )


def _median(runs: list[Run]) -> Run:
    return Run(
        statistics.median(run.rate for run in runs), statistics.median(run.cpu for run in runs)
    )


@contextmanager
def _fake(core: int) -> Iterator[str]:
    command = ["taskset", "-c", str(core), sys.executable, "-m", "fakes.sts", "--any-role"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as fake:  # noqa: S603 (ours)
        try:
            line = "" if fake.stdout is None else fake.stdout.readline()
            yield line.rpartition(" ")[2].strip()
        finally:
            fake.terminate()


def _run(client: str, url: str, calls: int, core: int) -> Run:
    command = ["taskset", "-c", str(core), sys.executable, "-m", "bench.sts"]
    said = subprocess.run(  # noqa: S603 (ours)
        [*command, client, url, str(calls)],
        env={**os.environ, **_ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    ).stdout
    return Run(**json.loads(said))


async def _ours(url: str, calls: int) -> Run:
    from rolecall_common.clock import SystemClock  # noqa: PLC0415 (boto3's run does without)
    from rolecall_server.model.identity import Identity  # noqa: PLC0415
    from rolecall_server.sts.client import StsClient  # noqa: PLC0415
    from rolecall_server.sts.factory import open_client  # noqa: PLC0415
    from rolecall_server.sts.options import StsOptions  # noqa: PLC0415

    # As in the server, identities are there before they are due.
    identities = [Identity(f"{_ROLE}{n}", "shop.cart", timedelta(hours=1)) for n in range(calls)]

    async def some(sts: StsClient, numbers: range) -> None:
        for number in numbers:
            await sts.issue(identities[number])

    async def all_of_them(sts: StsClient, count: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            for start in range(_IN_FLIGHT):
                numbers = range(start, count, _IN_FLIGHT)
                tasks.create_task(some(sts, numbers), name=f"caller {start}")

    async with open_client(StsOptions(endpoint=url), SystemClock()) as sts:
        await all_of_them(sts, _IN_FLIGHT)  # The connections are made before the clock starts.
        wall, cpu = time.perf_counter(), time.process_time()
        await all_of_them(sts, calls)
        return _counted(calls, wall, cpu)


def _boto3(url: str, calls: int) -> Run:
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  # no types; ours does without
    from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415  # the same

    client = boto3.client(
        "sts",
        endpoint_url=url,
        region_name="eu-west-1",
        config=Config(max_pool_connections=_IN_FLIGHT),
    )

    def some(numbers: range) -> None:
        for number in numbers:
            client.assume_role(
                RoleArn=f"{_ROLE}{number}", RoleSessionName="shop.cart", DurationSeconds=3600
            )

    def all_of_them(count: int) -> None:
        shares = [range(start, count, _IN_FLIGHT) for start in range(_IN_FLIGHT)]
        list(threads.map(some, shares))

    with ThreadPoolExecutor(_IN_FLIGHT) as threads:
        all_of_them(_IN_FLIGHT)
        wall, cpu = time.perf_counter(), time.process_time()
        all_of_them(calls)
        return _counted(calls, wall, cpu)


def _counted(calls: int, wall: float, cpu: float) -> Run:
    return Run(calls / (time.perf_counter() - wall), (time.process_time() - cpu) / calls)


def main(arguments: list[str]) -> int:
    if arguments:
        client, url, calls = arguments
        run = asyncio.run(_ours(url, int(calls))) if client == "ours" else _boto3(url, int(calls))
        sys.stdout.write(json.dumps({"rate": run.rate, "cpu": run.cpu}))
        return 0
    found = compare(Cores.of_this_machine())
    for name, run in (("ours", found.ours), ("boto3", found.boto3)):
        sys.stdout.write(f"{name:6} {run.rate:7,.0f} calls/s  {run.cpu * 1e3:.3f} ms CPU a call\n")
    sys.stdout.write(f"per core, ours makes {found.ratio:.1f} times the calls of boto3\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
