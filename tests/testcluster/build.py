"""Builds the test cluster's binaries from published Go modules, once per version.

Modules come by the ordinary `go` command from the module proxy that it is configured for, and
their sums are checked as everywhere. Neither source nor binaries enter the repository.
"""

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from testcluster.cache import cache_folder, is_complete, locked, made_whole
from testcluster.output import say
from testcluster.recipes import Recipe

# How often a long step says that it is still at work, in seconds.
_PROGRESS = 20.0


class BuildError(Exception):
    """A binary could not be built; the text has the end of what the compiler said."""


def missing(wanted: list[Recipe]) -> list[Recipe]:
    """Return which of the *wanted* are not in the cache yet."""
    return [recipe for recipe in wanted if not is_complete(cache_folder() / recipe.folder)]


def build(wanted: list[Recipe], go: Path) -> None:
    """Build what is missing of the *wanted*, and say how it goes.

    What Go downloaded and compiled on the way, 11 GB, is removed once all is there.

    Raises: BuildError.
    """
    with locked(cache_folder()):
        for recipe in missing(wanted):
            started = time.monotonic()
            _log(recipe).unlink(missing_ok=True)
            say(f"==> Building {recipe.name} {recipe.version} (once)")
            with made_whole(cache_folder() / recipe.folder) as folder:
                _Workshop(recipe, go, folder).build()
            say(f"    done in {time.monotonic() - started:.0f} s")
        shutil.rmtree(_go_caches(), ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Workshop:
    """The building of one recipe, in a folder of its own."""

    recipe: Recipe
    go: Path
    folder: Path

    def build(self) -> None:
        work = self.folder / "work"
        work.mkdir()
        (work / "go.mod").write_text(_go_mod(self.recipe, self._module()))
        imports = "".join(f'import _ "{path}"\n' for path in self.recipe.binaries.values())
        # Never compiled itself: it only tells `go mod tidy` what is needed.
        (work / "tools.go").write_text(f"//go:build tools\n\npackage tools\n\n{imports}")
        self._run(work, "resolving modules", "mod", "tidy")
        stamps = " ".join(f"-X {name}={value}" for name, value in self.recipe.stamps.items())
        flags = ["-trimpath", "-v", "-ldflags", f"-s -w {stamps}"]
        self._run(work, "compiling", "build", *flags, "-o", self._output(), *self._packages())
        for name in self.recipe.folders:
            source = Path(self._module()["Dir"]) / name
            # The module cache is read-only, and a copy must be removable.
            shutil.copytree(source, self.folder / name, copy_function=shutil.copyfile)
        shutil.rmtree(work)

    def _packages(self) -> list[str]:
        return list(self.recipe.binaries.values())

    def _output(self) -> str:
        # A package alone may need another name than its own; several are named after their folders.
        if len(self.recipe.binaries) == 1:
            return str(self.folder / next(iter(self.recipe.binaries)))
        return f"{self.folder}/"

    def _module(self) -> dict[str, str]:
        wanted = f"{self.recipe.module}@v{self.recipe.version}"
        told = self._run(self.folder, "downloading", "mod", "download", "-json", wanted)
        found: dict[str, str] = json.loads(told)
        return found

    def _run(self, folder: Path, what: str, *command: str) -> str:
        log = _log(self.recipe)
        with log.open("a+") as said:
            # Niced, so that the machine stays usable for its owner.
            process = subprocess.Popen(  # noqa: S603 - our own command lines
                ["nice", "-n", "10", self.go, *command],  # noqa: S607 - it is everywhere
                cwd=folder,
                env=_environment(),
                stdout=subprocess.PIPE if "-json" in command else said,
                stderr=said,
                text=True,
            )
            output = _attend(process, what, log)
        if process.returncode != 0:
            tail = "\n".join(log.read_text().splitlines()[-20:])
            raise BuildError(f"{what} {self.recipe.name} failed; {log} ends with:\n{tail}")
        return output


def _attend(process: subprocess.Popen[str], what: str, log: Path) -> str:
    started = time.monotonic()
    before = _lines(log)
    while True:
        try:
            output, _ = process.communicate(timeout=_PROGRESS)
        except subprocess.TimeoutExpired:
            seconds = time.monotonic() - started
            say(f"    {what}: {_lines(log) - before} packages, {seconds:.0f} s")
        except BaseException:
            process.kill()
            process.wait()
            raise
        else:
            return output or ""


def _lines(log: Path) -> int:
    return len(log.read_bytes().splitlines())


def _go_mod(recipe: Recipe, module: dict[str, str]) -> str:
    """Return a go.mod that resolves to the very versions that the module was released with.

    A module's own replacements do not count where it is only required, and `go install` refuses
    such modules. Those of Kubernetes point into its repository; the same code is published as
    v0.MINOR.PATCH.
    """
    own = Path(module["GoMod"]).read_text().splitlines()
    lines = ["module rolecall.test/cluster", ""]
    lines += [line for line in own if line.startswith(("go ", "godebug "))]
    lines += _godebug_block(own)
    lines.append(f"require {recipe.module} v{recipe.version}")
    _, minor, patch = recipe.version.split(".")
    for line in own:
        name, arrow, target = line.strip().removeprefix("replace ").partition(" => ")
        if arrow and target.startswith("./staging/"):
            lines.append(f"replace {name} => {name} v0.{minor}.{patch}")
    return "\n".join(lines) + "\n"


def _godebug_block(lines: list[str]) -> list[str]:
    if "godebug (" not in lines:
        return []
    begin = lines.index("godebug (")
    return lines[begin : lines.index(")", begin) + 1]


def _environment() -> dict[str, str]:
    unwanted = {"GOOS", "GOARCH", "GOBIN", "GOPATH"}
    return {
        **{name: value for name, value in os.environ.items() if name not in unwanted},
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOWORK": "off",
        # A module cache that `rm -r` can remove.
        "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),
        "GOCACHE": str(_go_caches() / "build"),
        "GOMODCACHE": str(_go_caches() / "mod"),
    }


def _go_caches() -> Path:
    return cache_folder() / "go"


def _log(recipe: Recipe) -> Path:
    return cache_folder() / f"{recipe.folder}.log"
