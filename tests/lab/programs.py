"""The programs that run in the lab's pods: each asks by an SDK of AWS's as it comes, or by curl.

What must be built is built once from sources with locks, and kept outside the checkout.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from lab.nodejs import NoNodeError, fetch_node, find_node, npm_of
from testcluster.build import BuildError
from testcluster.cache import cache_folder, is_complete, locked, made_whole
from testcluster.golang import NoGoError, fetch_go, find_go
from testcluster.output import say

_SOURCES = Path(__file__).parent / "sdks"
# Each of them reads lines and answers each with a line: see sdks/go/main.go.
PROGRAMS = ("boto3", "go", "js", "curl")
BUILT = ("go", "js")


class NoProgramError(Exception):
    """A program is not to be had here; the text says why."""


def command(name: str) -> list[str]:
    """Return the command line of the program *name*.

    Raises: NoProgramError.
    """
    match name:
        case "boto3":
            return [sys.executable, str(_SOURCES / "python/main.py")]
        case "curl":
            if shutil.which("curl") is None:
                raise NoProgramError("no curl here: apt-get install curl")
            return ["sh", str(_SOURCES / "curl/main.sh")]
        case "go":
            return [str(_built(name) / "sdk")]
        case _:
            folder = _built(name)
            return [str(find_node(_cache())), str(folder / "main.mjs")]


def missing(wanted: Iterable[str]) -> list[str]:
    """Return which of the *wanted* must be built and are not."""
    return [name for name in BUILT if name in wanted and not is_complete(_folder(name))]


def build(wanted: Iterable[str], *, fetch: bool = False) -> None:
    """Build what is missing of the *wanted*; with *fetch*, get the tools, too, where they are not.

    Raises: BuildError, NoGoError, NoNodeError.
    """
    for name in missing(wanted):
        tool = _tool(name, fetch=fetch)
        started = time.monotonic()
        say(f"==> Building the lab's program on the AWS SDK: {name} (once)")
        with locked(_cache()), made_whole(_folder(name)) as folder:
            _BUILDERS[name](folder, tool)
        say(f"    done in {time.monotonic() - started:.0f} s")


def _built(name: str) -> Path:
    if missing([name]):
        try:
            _tool(name, fetch=False)
        except (NoGoError, NoNodeError) as error:
            raise NoProgramError(f"the lab's {name} program is not built: {error}") from error
        raise NoProgramError(f"the lab's {name} program is not built: `scripts/sdks` says why")
    return _folder(name)


def _build_go(folder: Path, go: Path) -> None:
    caches = folder / "caches"
    # Whatever this machine builds for, and where it keeps things, is no matter here.
    unwanted = {"GOOS", "GOARCH", "GOBIN", "GOPATH"}
    environment = {
        **{name: value for name, value in os.environ.items() if name not in unwanted},
        "CGO_ENABLED": "0",
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly -modcacherw",
        "GOCACHE": str(caches / "build"),
        "GOMODCACHE": str(caches / "mod"),
    }
    words = ["build", "-trimpath", "-ldflags", "-s -w", "-o", str(folder / "sdk"), "."]
    _run([str(go), *words], _SOURCES / "go", environment)
    shutil.rmtree(caches)


def _build_js(folder: Path, node: Path) -> None:
    for file in ("main.mjs", "package.json", "package-lock.json"):
        shutil.copyfile(_SOURCES / "js" / file, folder / file)
    # No package's own script runs.
    words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(folder / "npm")]
    _run([str(node), str(npm_of(node)), *words], folder, dict(os.environ))
    shutil.rmtree(folder / "npm")


def _run(words: list[str], folder: Path, environment: dict[str, str]) -> None:
    ended = subprocess.run(  # noqa: S603 - our own command lines
        ["nice", "-n", "10", *words],  # noqa: S607 - it is everywhere
        cwd=folder, env=environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if ended.returncode != 0:
        tail = "\n".join((ended.stdout + ended.stderr).splitlines()[-20:])
        raise BuildError(f"{words[0]} failed in {folder}:\n{tail}")


def _cache() -> Path:
    return cache_folder().parent / "sdks"


def _folder(name: str) -> Path:
    digest = hashlib.sha256()
    for file in sorted((_SOURCES / name).iterdir()):
        if file.is_file():
            digest.update(file.read_bytes())
    return _cache() / f"{name}-{digest.hexdigest()[:12]}"


def _tool(name: str, *, fetch: bool) -> Path:
    if name == "go":
        return fetch_go() if fetch else find_go()
    return fetch_node(_cache()) if fetch else find_node(_cache())


_BUILDERS: dict[str, Callable[[Path, Path], None]] = {"go": _build_go, "js": _build_js}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/sdks", description=__doc__)
    parser.add_argument("--fetch", action="store_true", help="Go and Node.js, too, from PyPI")
    try:
        build(BUILT, fetch=parser.parse_args().fetch)
    except (BuildError, NoGoError, NoNodeError) as error:
        say(f"error: {error}", sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
