"""Clusters that a run left behind, and those that only look so."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from testcluster.controlplane import process_file
from testcluster.processes import Process, record, recorded, start, stop

SLEEP = shutil.which("sleep") or "/bin/sleep"

# What has a cluster, until it may end.
OWNER = """
import sys
from testcluster.owner import new_folder
with new_folder() as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""
SWEEPER = "from testcluster.owner import sweep; sweep()"
HERE = ()
# As another container sees it: this machine's files, and none of its processes.
ELSEWHERE = (
    "unshare",
    "--user",
    "--map-root-user",
    "--pid",
    "--mount-proc",
    "--fork",
    "--kill-child",
)
needs_containers = pytest.mark.skipif(
    shutil.which("unshare") is None, reason="needs unshare of util-linux"
)


@pytest.fixture
def part(tmp_path: Path) -> Generator[Process]:
    """Run what stands for a part of a cluster."""
    process = start("part", [SLEEP, "600"], tmp_path / "log")
    yield process
    stop([process])


@contextlib.contextmanager
def owner(where: tuple[str, ...], temporary: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """Run a process with a cluster below *temporary*; give its folder, too."""
    command = [*where, sys.executable, "-c", OWNER]
    with subprocess.Popen(  # noqa: S603 - our own command line
        command,
        env=environment(temporary),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        if not said and where:
            pytest.skip("needs unshare and user namespaces")
        yield Path(said), process


def sweep(where: tuple[str, ...], temporary: Path) -> None:
    command = [*where, sys.executable, "-c", SWEEPER]
    subprocess.run(command, env=environment(temporary), check=True)  # noqa: S603 - our own


def environment(temporary: Path) -> dict[str, str]:
    tests = str(Path(__file__).parents[1])
    return {"PATH": os.environ["PATH"], "PYTHONPATH": tests, "TMPDIR": str(temporary)}


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    # Of another container the process is the one that made it: this is that container's own end.
    assert process.stdout is not None
    process.stdout.read()


def test_a_cluster_without_an_owner_is_removed(tmp_path: Path, part: Process) -> None:
    """A run that was killed leaves processes; the next one ends them, and no living run's."""
    other = start("other", [SLEEP, "600"], tmp_path / "log")
    with owner(HERE, tmp_path) as (left, killed), owner(HERE, tmp_path) as (kept, _):
        record(process_file(left), [part])
        record(process_file(kept), [other])
        kill(killed)
        sweep(HERE, tmp_path)

        assert not left.exists()
        assert not part.is_running
        assert kept.exists()
        assert recorded(process_file(kept)) == [other]
        assert other.is_running
    stop([other])


def test_a_cluster_ends_with_its_block(tmp_path: Path) -> None:
    """Nothing of it is left for anybody to sweep."""
    with owner(HERE, tmp_path) as (folder, process):
        assert folder.exists()
        process.communicate("")

        assert process.returncode == 0
        assert list(tmp_path.iterdir()) == []


@needs_containers
@pytest.mark.parametrize(("whose", "sweeper"), [(HERE, ELSEWHERE), (ELSEWHERE, HERE)])
def test_a_cluster_of_another_container_is_not_abandoned(
    whose: tuple[str, ...], sweeper: tuple[str, ...], tmp_path: Path
) -> None:
    """Its owner is no process that the sweeper sees, and lives all the same."""
    with owner(ELSEWHERE, tmp_path):
        pass  # Left out where no other container is to be had.
    with owner(whose, tmp_path) as (folder, process):
        sweep(sweeper, tmp_path)

        assert folder.exists()
        process.communicate("")
        assert process.returncode == 0


@needs_containers
def test_what_another_container_left_is_left_to_it(tmp_path: Path, part: Process) -> None:
    """A process of ours has the number that one of that cluster's had there."""
    with owner(ELSEWHERE, tmp_path) as (folder, process):
        record(process_file(folder), [part])
        kill(process)
    sweep(HERE, tmp_path)

    assert folder.exists()
    assert part.is_running
