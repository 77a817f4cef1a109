"""Python environments for images, made by the steps of the Dockerfile."""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from testcluster.cache import cache_folder, is_complete, locked, made_whole
from testcluster.images.contents import base_python, write_base
from testcluster.images.layers import Layer
from testcluster.output import say
from testcluster.tools import run

ROOT: Final = Path(__file__).parents[3]
_LAYER = "layer.tar"
_NO_RESOLVING = ("--no-cache-dir", "--disable-pip-version-check", "--no-deps", "--quiet")
_PINNED = ("--require-hashes", "--only-binary", ":all:")


def base() -> Path:
    """Return the layer with Python and tools; it is made once for each Python."""
    here = Path(__file__)
    sources = [here.with_name(f"{name}.py").read_bytes() for name in ("layers", "contents")]
    with _kept("base", *sources) as (layer, draft):
        if draft:
            with Layer(draft) as content:
                write_base(content)
    return layer


def environment(name: str, where: Path, *, without: tuple[str, ...] = ()) -> Path:
    """Return the layer with the packages of requirements/*name*.txt; it is made once for each.

    Files and folders by the names *without* are left out.
    """
    lock = ROOT / "requirements" / f"{name}.txt"
    own = Path(__file__).read_bytes()
    with _kept(name, lock.read_bytes(), own, bytes(where), repr(without).encode()) as (
        layer,
        draft,
    ):
        if draft:
            say(f"==> Installing requirements/{name}.txt for an image (once)")
            with _environment(where) as python:
                _pip(python, *_PINNED, "-r", str(lock))
                _write(draft, python, where, without)
    return layer


def project(folder: Path, where: Path) -> Path:
    """Return the layer with this checkout's own packages, as it is now, built below *folder*."""
    lock = ROOT / "requirements" / "build.txt"
    with tempfile.TemporaryDirectory() as scratch:
        builder = Path(scratch) / "builder" / "bin" / "python"
        run(sys.executable, "-m", "venv", str(builder.parents[1]))
        _pip(builder, *_PINNED, "-r", str(lock))
        how = ("--no-index", "--no-build-isolation", "--wheel-dir", scratch)
        run(builder, "-m", "pip", "wheel", *_NO_RESOLVING, *how, str(ROOT))
        (wheel,) = Path(scratch).glob("*.whl")
        with _environment(where) as python:
            _pip(python, "--no-index", str(wheel))
            _write(folder / _LAYER, python, where)
    return folder / _LAYER


@contextmanager
def _kept(name: str, *made_from: bytes) -> Iterator[tuple[Path, Path | None]]:
    """Give a layer's place, and where to write it first if it is not there."""
    digest = hashlib.sha256(b"\0".join([sys.version.encode(), bytes(base_python()), *made_from]))
    folder = cache_folder() / "images" / f"{name}-{digest.hexdigest()[:12]}"
    with locked(folder.parent):
        if is_complete(folder):
            yield folder / _LAYER, None
        else:
            for older in folder.parent.glob(f"{name}-*"):
                shutil.rmtree(older)
            with made_whole(folder) as draft:
                yield folder / _LAYER, draft / _LAYER


@contextmanager
def _environment(where: Path) -> Iterator[Path]:
    """Make an environment without pip that will be at *where*, and give its Python."""
    with tempfile.TemporaryDirectory() as staging:
        folder = Path(staging) / where.relative_to("/")
        run(sys.executable, "-m", "venv", "--without-pip", str(folder))
        yield folder / "bin" / "python"


def _pip(python: Path, *arguments: str) -> None:
    run(sys.executable, "-m", "pip", "--python", python, "install", *_NO_RESOLVING, *arguments)


def _write(layer: Path, python: Path, where: Path, without: tuple[str, ...] = ()) -> None:
    """Write an environment as it will be at *where*, compiled once."""
    folder = python.parents[1]
    for script in python.parent.iterdir():
        content = script.read_bytes() if script.is_file() and not script.is_symlink() else b""
        if content.startswith(b"#!" + bytes(folder)):
            script.write_bytes(content.replace(bytes(folder), bytes(where), 1))
    # What is in a traceback is the path in the image.
    paths = ("-s", str(folder), "-p", str(where))
    compiled = ("-q", "-f", "--invalidation-mode", "unchecked-hash", *paths)
    run(python, "-m", "compileall", *compiled, str(folder / "lib"))
    with Layer(layer) as content:
        content.tree(folder, where, without)
