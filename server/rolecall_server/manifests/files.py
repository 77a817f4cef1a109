"""Reads the manifest files of a directory from the disk, whatever lies there."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
# Kubernetes itself takes no object over 1.5 MiB; a file may hold several.
LARGEST = 8 * 1024 * 1024
MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class File:
    """One manifest file: its text, or why it has none."""

    text: str
    problem: str | None = None


def read_files(root: Path) -> dict[str, File]:
    """Return the manifests below *root* by their path from there, in order.

    Hidden names are left out: editors' copies, and the folders that a mounted ConfigMap turns over.
    What cannot be read is returned with its problem.

    Raises: OSError, where *root* itself cannot be listed.
    """
    next(root.iterdir(), None)  # `walk` passes over what it cannot list, even the root.
    paths: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += [Path(folder, name) for name in names if _is_manifest(name)]
    paths.sort()
    files = {str(path.relative_to(root)): _read(path) for path in paths[:MOST_FILES]}
    for path in paths[MOST_FILES:]:
        files[str(path.relative_to(root))] = File("", f"more than {MOST_FILES} files")
    return files


def _is_manifest(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix in SUFFIXES


def _read(path: Path) -> File:
    try:
        # A pipe would keep whoever opens it; so none is opened, nor waited for if it is one now.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return File("", "not a file")
            content = file.read(LARGEST + 1)
    except OSError as error:
        return File("", error.strerror or str(error))
    if len(content) > LARGEST:
        return File("", f"larger than {LARGEST // 1024 // 1024} MiB")
    try:
        return File(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return File("", f"not UTF-8 at byte {error.start}")
