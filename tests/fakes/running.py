"""A process that a test started, and every line that it has written."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 60.0  # seconds, for a slow machine; what is waited for takes some milliseconds


@dataclass(slots=True)
class Running:
    """A process, and every line that it has written so far to stderr and to stdout."""

    name: str
    process: asyncio.subprocess.Process
    err: list[str] = field(default_factory=list)
    out: list[str] = field(default_factory=list)
    # Not a TaskGroup's: a fixture's set-up and its end are two tasks.
    readers: list[asyncio.Task[None]] = field(default_factory=list)
    open_streams: int = 2
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def records(self) -> list[dict[str, str]]:
        """Every audit record that went to stdout."""
        return [json.loads(line) for line in self.out if line.startswith('{"type": "audit"')]

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None

    @property
    def worker(self) -> int:
        """Return the process id of its one child: an agent's work is done in one."""
        pid = self.process.pid
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(child)

    async def wait_line(self, *parts: str) -> str:
        """Return the first line of stderr or stdout that holds all of *parts*."""

        def found() -> str | None:
            lines = [*self.err, *self.out]
            return next((line for line in lines if all(part in line for part in parts)), None)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE), self.grown:
                await self.grown.wait_for(lambda: found() is not None or not self.open_streams)
        line = found()
        assert line is not None, f"{self.name} never said {parts}: {self.err[-20:]}"
        return line

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code once all output is here."""
        if self.is_alive:
            self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Return the exit code, once the process has ended and all its output is here."""
        async with asyncio.timeout(PATIENCE):
            code = await self.process.wait()
            await asyncio.gather(*self.readers)
        return code

    async def collect(self, stream: asyncio.StreamReader, into: list[str]) -> None:
        async for line in stream:
            async with self.grown:
                into.append(line.decode(errors="replace").rstrip("\n"))
                self.grown.notify_all()
        async with self.grown:
            self.open_streams -= 1
            self.grown.notify_all()


@contextlib.asynccontextmanager
async def python(
    name: str,
    *words: str,
    environment: Mapping[str, str],
    out: int = asyncio.subprocess.PIPE,
    err: int = asyncio.subprocess.PIPE,
) -> AsyncGenerator[Running]:
    """Run this interpreter with *words* until the block ends at the latest.

    It sees nothing of our own environment but the path to programs. What it writes to *out* and
    *err* is collected, unless they are descriptors of whoever calls this.
    """
    process = await asyncio.create_subprocess_exec(
        # Dies with the tests, however they end.
        *("setpriv", "--pdeathsig", "KILL"),
        sys.executable,
        *words,
        env={"PATH": os.environ["PATH"], **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        limit=1 << 22,
    )
    running = Running(name, process)
    streams = ((process.stderr, running.err), (process.stdout, running.out))
    collected = [(stream, lines) for stream, lines in streams if stream is not None]
    running.open_streams = len(collected)
    for stream, lines in collected:
        reading = asyncio.create_task(running.collect(stream, lines), name=f"read {name}")
        running.readers.append(reading)
    try:
        yield running
    finally:
        if running.is_alive:
            process.kill()
        await running.ended()
