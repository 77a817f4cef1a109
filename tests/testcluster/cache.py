"""Where built binaries are kept: outside the checkout, by version, whole or not at all."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testcluster.output import say

# The last thing written, so that a folder with it has everything.
_STAMP = "complete"


def cache_folder() -> Path:
    """Return the folder that everything built is kept below; it may not exist."""
    if chosen := os.environ.get("ROLECALL_CACHE"):
        return Path(chosen).absolute() / "testcluster"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home).absolute() / "rolecall" / "testcluster"


def is_complete(folder: Path) -> bool:
    """Whether what was to be made in *folder* was made to its end."""
    return (folder / _STAMP).exists()


@contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """Give a new folder to fill; filled without error, it takes the place of *folder*."""
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield draft
        (draft / _STAMP).touch()
        # mkdtemp makes it for its owner alone, and a cache may be shared.
        draft.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait until nobody else works in *folder*, and keep others out."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"==> Waiting for another build in {folder}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
