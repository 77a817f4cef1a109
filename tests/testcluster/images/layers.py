"""Layers: tar files with programs of this computer and what those need."""

import io
import os
import re
import subprocess
import tarfile
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

_EXECUTABLE = 0o755
_READABLE = 0o644
# A line of `ldd`: what a program loads, and where that is.
_LIBRARY = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)


class Layer(AbstractContextManager["Layer"]):
    """A layer that is being written; each path is in it once, and everybody may read it."""

    def __init__(self, file: Path) -> None:
        self._tar = tarfile.open(file, "w")  # noqa: SIM115 - closed by __exit__
        self._paths: set[Path] = {Path("/")}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tar.close()

    def roots(self) -> None:
        """Have /bin, /lib and the like be links where this computer has them so."""
        for name in ("bin", "sbin", "lib", "lib64"):
            if (here := Path("/") / name).is_symlink():
                self.link(here, f"usr/{name}")

    def program(self, source: Path, *others: Path) -> None:
        """Add a program where it is on this computer, and what it and *others* load."""
        self.copy(source, _settled(source))
        for library in libraries([source, *others]):
            self.copy(library, _settled(library))

    def tree(self, source: Path, where: Path, without: Iterable[str] = ()) -> None:
        """Add all that is below *source*, but nothing by one of the names *without*."""
        unwanted = set(without)
        for folder, names, files in os.walk(source):
            names[:] = sorted(set(names) - unwanted)
            here = where / Path(folder).relative_to(source)
            self._folders(here)
            for name in sorted({*files, *(n for n in names if (Path(folder) / n).is_symlink())}):
                if name not in unwanted:
                    self.copy(Path(folder) / name, here / name, links=True)

    def copy(self, source: Path, where: Path, *, links: bool = False) -> None:
        """Add a file; a link is kept as one if *links*, and else followed."""
        if links and source.is_symlink():
            self.link(where, str(source.readlink()))
        elif source.is_file():
            executable = os.access(source, os.X_OK)
            # Compiled Python is of use only beside a source with the time that it notes.
            made = int(source.stat().st_mtime)
            mode = _EXECUTABLE if executable else _READABLE
            self.file(where, source.read_bytes(), mode=mode, made=made)

    def file(self, where: Path, content: bytes, *, mode: int = _READABLE, made: int = 0) -> None:
        if not self._is_new(where):
            return
        entry = _entry(where, tarfile.REGTYPE, mode)
        entry.size, entry.mtime = len(content), made
        self._tar.addfile(entry, io.BytesIO(content))

    def link(self, where: Path, target: str) -> None:
        if not self._is_new(where):
            return
        entry = _entry(where, tarfile.SYMTYPE, 0o777)
        entry.linkname = target
        self._tar.addfile(entry)

    def folder(self, where: Path, mode: int = _EXECUTABLE) -> None:
        if self._is_new(where):
            self._tar.addfile(_entry(where, tarfile.DIRTYPE, mode))

    def _is_new(self, where: Path) -> bool:
        if where in self._paths:
            return False
        self._folders(where.parent)
        self._paths.add(where)
        return True

    def _folders(self, where: Path) -> None:
        for each in [*reversed(where.parents), where]:
            if each not in self._paths:
                self._paths.add(each)
                self._tar.addfile(_entry(each, tarfile.DIRTYPE, _EXECUTABLE))


def libraries(programs: Iterable[Path]) -> list[Path]:
    """Return the libraries that *programs* load, the loader itself among them."""
    found: set[str] = set()
    for program in programs:
        # It fails for what loads nothing.
        told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)  # noqa: S603, S607
        found.update(_LIBRARY.findall(told.stdout))
    return sorted(map(Path, found))


def _settled(path: Path) -> Path:
    """Return where a file is, with the links on its way followed and its own name kept."""
    return path.parent.resolve() / path.name


def _entry(where: Path, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(str(where).lstrip("/"))
    entry.type, entry.mode = kind, mode
    entry.uname = entry.gname = "root"
    return entry
