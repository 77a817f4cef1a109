"""The demo's processes: started with a log, watched while they are needed, ended in order."""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

_GRACE_SECONDS = 5


class DemoError(Exception):
    """The demo cannot go on; the text says why in one line."""


class Part:
    """One process of the demo."""

    def __init__(self, name: str, process: Process, log: Path) -> None:
        self.name = name
        self.process = process
        self._log = log

    async def stop(self) -> None:
        """End it as an operator would, and wait until it is gone."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(_GRACE_SECONDS):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
        await self.process.wait()

    def require_alive(self) -> None:
        """Raise DemoError where it has ended by itself."""
        if self.process.returncode is not None:
            lines = self._log.read_text(errors="replace").strip().splitlines()
            last = lines[-1] if lines else "it said nothing"
            raise DemoError(f"the {self.name} ended with {self.process.returncode}: {last}")


@asynccontextmanager
async def running(
    name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
) -> AsyncGenerator[Part]:
    """Run *command* with its output in *log*, until the block ends."""
    with log.open("ab") as output:
        # A session of its own, so that Ctrl-C reaches the demo alone, which then ends its parts.
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
    part = Part(name, process, log)
    try:
        yield part
    finally:
        await part.stop()


@asynccontextmanager
async def talking(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> AsyncGenerator[Process]:
    """Run *command* with pipes for its input and output, until the block ends."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=errors,
            env=environment,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """Return this process's environment without anything that steers AWS, Rolecall or proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "ROLECALL_")) and not name.lower().endswith("_proxy")
    }
    return {**kept, "HOME": str(home), **more}
