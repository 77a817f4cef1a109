"""Starts the processes that are measured, each on its core, and reads what they use."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.machine import path_of

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Running:
    """A process on a core of its own, with its children."""

    name: str
    pid: int
    log: Path

    def cpu_seconds(self) -> float:
        """Return user and system time so far, of the process and its living children."""
        return sum(cpu_seconds(pid) for pid in self._family())

    def resident_bytes(self) -> int:
        """Return the resident memory (RSS) of the process and its children."""
        return sum(_resident_bytes(pid) for pid in self._family())

    def together_bytes(self) -> int:
        """Return the same, with the pages that the process shares with a child counted once.

        A sum of PSS would not do: the bench's other processes share the interpreter with them.
        """
        first, *others = sorted(self._family(), key=_resident_bytes, reverse=True)
        return _resident_bytes(first) + sum(_private_bytes(pid) for pid in others)

    def anonymous_bytes(self) -> int:
        """Return the anonymous memory of the process and its children: what no file has as well."""
        return sum(_rollup_bytes(pid, "Anonymous:") for pid in self._family())

    def peak_bytes(self) -> int:
        """Return the most memory (RSS) that the process itself has had so far."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

    def _family(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]


@contextlib.asynccontextmanager
async def running(
    name: str,
    command: list[str],
    *,
    core: int,
    directory: Path,
    environment: Mapping[str, str] | None = None,
) -> AsyncGenerator[Running]:
    """Run *command* on *core* until the block ends; what it says goes to a log in *directory*."""
    log = directory / f"{name}.log"
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            path_of("taskset"), "-c", str(core), *command,
            stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said,
            env=None if environment is None else {**os.environ, **environment},
        )  # fmt: skip
    try:
        yield Running(name, process.pid, log)
    finally:
        ended = process.returncode
        await _end(process)
        if ended is not None:
            said = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{name} ended by itself, with {ended}; it said:\n{said}")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), 10)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):  # It has ended just now.
            process.kill()
        await process.wait()


async def until(true: Callable[[], bool], what: str, *, within: float = 20.0) -> None:
    """Wait until *true*. Raises RuntimeError, saying *what* did not happen."""
    try:
        async with asyncio.timeout(within):
            while not true():  # noqa: ASYNC110 (another process's state has no event to wait for)
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise RuntimeError(f"{what} did not happen within {within:.0f} s") from None


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs *module* with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def busy_seconds(core: int) -> float:
    """Return how long *core* has worked for anyone so far, interrupts left out."""
    lines = Path("/proc/stat").read_text().splitlines()
    user, nice, system = next(line for line in lines if line.startswith(f"cpu{core} ")).split()[1:4]
    return (int(user) + int(nice) + int(system)) / _TICK


def cpu_seconds(pid: int) -> float:
    """Return user and system time so far of the process *pid* alone."""
    # Fields 14 and 15 of proc(5), counted after the name, which may contain blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _private_bytes(pid: int) -> int:
    return _rollup_bytes(pid, "Private_")


def _rollup_bytes(pid: int, beginning: str) -> int:
    """Return the sum of what the kernel counts by names of that *beginning*, mappings together."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(beginning))
