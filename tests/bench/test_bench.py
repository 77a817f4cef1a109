"""The bench's own sums, and one short run of what it measures with."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from bench.apply import Arrival
from bench.arrivals import STS_SECONDS
from bench.cluster_figures import Size, of_cluster
from bench.endpoint import Comparison, medians
from bench.load import Case, Measured, parsed, undisturbed
from bench.machine import Cores, described
from bench.manifests import BenchPod, write
from bench.nginx import nginx
from bench.population import inhabitants, manifest
from bench.processes import Running
from bench.reconnect import most_within
from bench.table import Line, endpoint_table, lines_table
from testcluster.binaries import Binaries

needs_wrk = pytest.mark.skipif(
    not (shutil.which("wrk") and shutil.which("nginx")), reason="needs nginx and wrk"
)


def measured(rate: float, p99: float = 1.0, failures: int = 0, foreign: float = 0.0) -> Measured:
    return Measured(rate, 0.1, 0.5, p99, 2.0, failures, foreign)


def test_a_report_of_wrk_is_read_in_our_units() -> None:
    """Microseconds become milliseconds, and CPU seconds are for ten thousand requests."""
    said = (
        'Running 1s test\n{"requests": 20000, "microseconds": 2000000, "failures": 3, '
        '"p50": 250.0, "p99": 1500.0, "p999": 9000.0}\n'
    )

    report = parsed(said, cpu_seconds=0.5)

    assert report == Measured(10_000, 0.25, 0.25, 1.5, 9.0, 3)


def test_a_wrk_that_fails_is_quoted() -> None:
    """What wrk says instead of a report is the error."""
    with pytest.raises(RuntimeError, match="unable to connect"):
        parsed("unable to connect to 127.0.0.1:1", cpu_seconds=0)


def test_medians_are_taken_figure_by_figure() -> None:
    """One slow round moves nothing, and a failure in any round is not forgotten."""
    runs = [measured(90, p99=1), measured(10, p99=50, failures=2), measured(100, p99=2)]

    middle = medians(runs)

    assert (middle.rate, middle.p99, middle.failures) == (90, 2, 2)


def test_a_run_that_others_disturbed_does_not_count() -> None:
    """It does when there is no other, and the table then says so."""
    calm, disturbed = measured(100), measured(10, foreign=0.5)

    assert medians([calm, disturbed]).rate == 100
    assert medians([disturbed]).foreign == 0.5


def test_the_table_tells_what_was_promised() -> None:
    """A share stands beside its promise, and beside the peers' shares."""
    case = Case("64 clients", 64, {})
    rows = endpoint_table([Comparison(case, measured(85_000), measured(100_000))]).splitlines()

    assert "85.0%" in rows[1]
    assert "at least 80.0%" in rows[1]
    assert "22.6%" in rows[1]


def test_a_promise_that_is_not_kept_stands_out() -> None:
    """Nobody has to compare figures to see it."""
    table = lines_table([Line("memory", "60 MB", "at most 55 MB", kept=False)])

    assert table.splitlines()[1].endswith("NO")


def test_pods_are_written_all_at_once(tmp_path: Path) -> None:
    """A reader of the directory never sees half a file."""
    manifests = tmp_path / "manifests"
    manifests.mkdir()

    write(manifests, "pods", [BenchPod("one", "127.64.0.1", "reader")])

    (file,) = manifests.iterdir()
    (pod,) = json.loads(file.read_text())["items"]
    assert pod["metadata"]["annotations"] == {"iam.amazonaws.com/role": "reader"}
    assert pod["status"]["podIP"] == "127.64.0.1"


@needs_wrk
async def test_nginx_serves_the_body_that_it_is_given(tmp_path: Path) -> None:
    """The floor is measured with the same bytes, quotes and line ends included."""
    cores = Cores.of_this_machine()
    body = json.dumps({"Code": "Success", "Quote": "it's"}, indent=2)
    async with nginx(body, core=cores.measured, directory=tmp_path) as (url, process):
        run = await undisturbed(f"{url}/x", process, Case("2 clients", 2, {}), 1, cores)

    assert run.rate > 0
    assert run.failures == 0
    assert "wrk" in described(cores)


def test_ours_is_what_neither_the_cluster_nor_sts_took() -> None:
    """STS can be asked once a pod is bound; of both, whichever comes later counts."""
    slow_address = Arrival(created=0, bound=1, known=3, answered=3.005)
    slow_sts = Arrival(created=0, bound=1, known=1.001, answered=1 + STS_SECONDS + 0.005)

    assert slow_address.ours == pytest.approx(0.005)
    assert slow_sts.ours == pytest.approx(0.005)


def test_the_busiest_second_is_found_wherever_it_begins() -> None:
    """A second that is no whole one on the clock counts too."""
    assert most_within([0.0, 0.9, 1.0, 1.8, 5.0], 1.0) == 3
    assert most_within([], 1.0) == 0


def test_pods_differ_where_it_matters() -> None:
    """Each has a name and an address of its own; every second application has a role."""
    pods = inhabitants(0, 200)

    assert len({pod.name for pod in pods}) == len({pod.address for pod in pods}) == 200
    assert sum(pod.role is not None for pod in pods) == 100
    assert len({manifest(pod)["spec"]["nodeName"] for pod in pods}) == 100


async def test_a_first_listing_is_measured_in_a_real_cluster(
    binaries: Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few pods are enough to see that it goes all the way."""
    del binaries  # Without them it is left out.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # As scripts/bench has it.
    size = Size(synced=20, restarted=0, own=0, agents=0, applied=0, rounds=1)
    steps: list[str] = []
    lines = await of_cluster({"sync"}, Cores.of_this_machine(), tmp_path, size, steps.append)

    assert "20 pods" in lines[0].what
    assert len(lines) == 6
    assert steps


@needs_wrk
@pytest.mark.parametrize(
    ("script", "kinds"), [("report.lua", 1), ("differ.lua", 20), ("sdk.lua", 3)]
)
async def test_wrk_asks_what_a_case_is_named_for(script: str, kinds: int) -> None:
    """The same again and again, never the same, or what an SDK asks when it begins."""
    asked: list[bytes] = []

    class Recorder(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport = transport

        def data_received(self, data: bytes) -> None:
            asked.append(data.partition(b"\r\n")[0])
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    async with await loop.create_server(Recorder, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        here = Running("here", os.getpid(), Path(os.devnull))
        case = Case("one client", 1, {}, script)
        cores = Cores.of_this_machine()
        run = await undisturbed(f"http://127.0.0.1:{port}/roles/reader", here, case, 1, cores)

    assert run.failures == 0
    assert len(set(asked[:20])) == kinds
