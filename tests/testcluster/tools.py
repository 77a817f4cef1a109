"""Programs of this computer, and what they say."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from testcluster.processes import StartError


def run(*command: str | Path) -> str:
    """Run a command of this computer and return what it printed.

    Raises: StartError.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode != 0:
        words = " ".join(map(os.fspath, command))
        raise StartError(f"{words}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def tool(name: str) -> str:
    """Return where a program of this computer is; also those that Debian keeps for root."""
    found = shutil.which(name, path=search_path())
    if found is None:
        raise StartError(f"there is no {name}")
    return found


def search_path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def script(*lines: Sequence[str]) -> tuple[str, ...]:
    """Return a command that runs all *lines*, one after the other, until one fails."""
    joined = "\n".join(" ".join(line) for line in lines)
    return ("sh", "-e", "-c", joined)
