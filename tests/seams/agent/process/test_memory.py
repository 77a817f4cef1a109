"""When a worker leaves because its container has little memory left, as the kernel tells it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.clock import START, FakeClock
from fakes.endpoint_rig import LIMIT
from rolecall_agent.process import supervisor
from rolecall_agent.process.memory import (
    LEAST_AGE,
    Memory,
    MemoryLimitError,
    leave_when_short,
    own_cgroup,
    read,
)
from rolecall_common.exit_code import Exit

MIB = 1 << 20
PLENTY, SHORT = Memory(50 * MIB, 100 * MIB), Memory(86 * MIB, 100 * MIB)
MOUNT = "31 24 0:27 {root} {place} rw,nosuid - cgroup2 cgroup rw"
V1 = "33 24 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"


def cgroup(root: Path, current: int, limit: str = str(100 * MIB), **stat: int) -> Path:
    """Write what the kernel shows of a cgroup."""
    (root / "memory.max").write_text(f"{limit}\n")
    (root / "memory.current").write_text(f"{current}\n")
    lines = "".join(f"{name} {value}\n" for name, value in stat.items())
    (root / "memory.stat").write_text(lines)
    return root


def test_pages_of_files_are_not_counted(tmp_path: Path) -> None:
    """The kernel takes them back before it kills anybody: a log that was read is no reason."""
    there = cgroup(tmp_path, 99 * MIB, active_file=20 * MIB, inactive_file=30 * MIB, anon=49 * MIB)

    assert read(there) == Memory(49 * MIB, 100 * MIB)


def test_memory_of_its_own_is_counted(tmp_path: Path) -> None:
    """And files in memory (tmpfs) are: nobody takes those back."""
    there = cgroup(tmp_path, 95 * MIB, active_file=MIB, anon=60 * MIB, shmem=30 * MIB)
    found = read(there)

    assert found is not None
    assert found.is_short


@pytest.mark.parametrize("limit", ["max", "", "many"])
def test_without_a_limit_nothing_is_short(tmp_path: Path, limit: str) -> None:
    """Nor where there is no such file, as in an older cgroup."""
    assert read(cgroup(tmp_path, 1, limit)) is None
    assert read(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("group", "mounts", "found"),
    [
        ("0::/", MOUNT.format(root="/", place="/sys/fs/cgroup"), "/sys/fs/cgroup"),
        ("0::/pod/one", MOUNT.format(root="/", place="/cgroup"), "/cgroup/pod/one"),
        ("0::/pod/one", MOUNT.format(root="/pod/one", place="/cgroup"), "/cgroup"),
        ("0::/pod/ones", MOUNT.format(root="/pod/one", place="/cgroup"), None),
        ("4:memory:/pod\n0::/", V1, None),
        ("4:memory:/pod", V1, None),
    ],
)
def test_its_cgroup_is_found(tmp_path: Path, group: str, mounts: str, found: str | None) -> None:
    """In a container with a view of its own, with the node's, and where there is none."""
    (tmp_path / "cgroup").write_text(f"{group}\n")
    (tmp_path / "mountinfo").write_text(f"{V1}\n{mounts}\n")

    assert own_cgroup(tmp_path) == (None if found is None else Path(found))


@given(st.binary(), st.binary(), st.binary())
def test_whatever_is_read_there_is_memory_or_none(
    tmp_path_factory: pytest.TempPathFactory, limit: bytes, current: bytes, stat: bytes
) -> None:
    """It is the kernel that writes it; a worker does not end by what it says."""
    root = tmp_path_factory.getbasetemp()
    for name, text in (("max", limit), ("current", current), ("stat", stat)):
        (root / f"memory.{name}").write_bytes(text)
    (root / "cgroup").write_bytes(limit)
    (root / "mountinfo").write_bytes(current)

    assert isinstance(read(root), Memory | None)
    assert isinstance(own_cgroup(root), Path | None)


@asynccontextmanager
async def watching(
    clock: FakeClock, now: list[Memory | None]
) -> AsyncGenerator["asyncio.Task[None]"]:
    async with asyncio.timeout(LIMIT):
        task = asyncio.create_task(leave_when_short(clock, lambda: now[0]))
        await clock.asleep()
        yield task
        task.cancel()
        with suppress(asyncio.CancelledError, MemoryLimitError):
            await task


async def test_a_worker_leaves_once_memory_is_short() -> None:
    """And not before: what it has for good is no reason."""
    clock, now = FakeClock(), [PLENTY]
    async with watching(clock, now) as task:
        clock.advance(LEAST_AGE)
        await clock.asleep_until(START + LEAST_AGE + timedelta(seconds=1))
        early = task.done()
        now[0] = SHORT
        clock.advance(timedelta(seconds=1))
        with pytest.raises(MemoryLimitError):
            await task

    assert not early


async def test_a_young_worker_does_not_leave() -> None:
    """Its successor would have as much at once, and they would follow each other without end."""
    clock, now = FakeClock(), [SHORT]
    async with watching(clock, now) as task:
        clock.advance(LEAST_AGE - timedelta(seconds=1))
        await clock.asleep_until(START + LEAST_AGE)
        early = task.done()
        clock.advance(timedelta(seconds=1))
        with pytest.raises(MemoryLimitError):
            await task

    assert not early


def can_limit_memory() -> bool:
    """Whether this machine lets a test make a cgroup whose memory can be limited."""
    own = own_cgroup()
    if own is None or not os.access(own, os.W_OK):
        return False
    return "memory" in (own / "cgroup.subtree_control").read_text().split()


# Few machines let a test have a cgroup (v2) with a limit; on the others there is no such test.
if can_limit_memory():

    def test_a_real_cgroup_is_read_as_the_kernel_shows_it(tmp_path: Path) -> None:
        """A file that was read does not count, and memory that was written does."""
        own = own_cgroup()
        assert own is not None
        there = own / f"rolecall-test-{os.getpid()}"
        there.mkdir()
        program = f"""
    from pathlib import Path
    from rolecall_agent.process.memory import read
    there = Path({str(there)!r})
    (there / "cgroup.procs").write_text("0")
    Path({str(tmp_path / "file")!r}).write_bytes(bytes(1 << 20) * 40)
    print(read(there).is_short)
    taken = b"x" * (56 << 20)
    print(read(there).is_short)
    """
        try:
            (there / "memory.max").write_text(str(64 * MIB))
            command = [sys.executable, "-c", program]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own
        finally:
            there.rmdir()

        assert said.split() == ["False", "True"]


def test_the_codes_of_supervisor_and_command_agree() -> None:
    """The supervisor is a program without our packages, and has its own."""
    assert (supervisor.FAILED, supervisor.UNUSABLE, supervisor.MEMORY) == (
        Exit.FAILED,
        Exit.USAGE,
        Exit.MEMORY,
    )
