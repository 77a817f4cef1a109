"""Runs `nft`, `ip` and `conntrack`: what they say comes back, and what they refuse is an error."""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE
from datetime import timedelta
from typing import Protocol

# None of them takes a second, on a node with ten thousand rules either.
_PATIENCE = timedelta(seconds=20)
# Their words are read, so that they have to be English.
_LANGUAGE = {"LC_ALL": "C", "LANG": "C"}
# Where distributions keep them, for users whose PATH leaves it out.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


class RefusedError(Exception):
    """A tool is missing, or has not done what it was asked; the text says why in one line."""


class AbsentError(RefusedError):
    """What was asked about does not exist."""


class Tools(Protocol):
    """How the kernel is spoken to. Raises RefusedError, AbsentError."""

    async def run(self, *command: str, say: str | None = None) -> str:
        """Run *command* with *say* on its standard input; return what it writes."""
        ...


class SystemTools:
    """The machine's own."""

    async def run(self, *command: str, say: str | None = None) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=DEVNULL if say is None else PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env={**os.environ, **_LANGUAGE, "PATH": _PATH},
            )
        except OSError as error:
            raise RefusedError(f"{command[0]}: {error.strerror}") from error
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                said, errors = await process.communicate(None if say is None else say.encode())
        except TimeoutError as error:
            raise RefusedError(f"{command[0]} does not end") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise _refusal(command, errors.decode(errors="replace"))
        return said.decode(errors="replace")


def _refusal(command: tuple[str, ...], errors: str) -> RefusedError:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    text = f"{command[0]}: {lines[0] if lines else 'it has failed without a word'}"
    # Both tools end with the kernel's own words for ENOENT.
    kind = AbsentError if any("No such file or directory" in line for line in lines) else None
    return (kind or RefusedError)(text)
