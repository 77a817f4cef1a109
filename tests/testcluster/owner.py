"""Whose a cluster is: a lock in its folder, which its owner holds for as long as it lives.

The folder of temporary files may be shared by containers. The number of a process is nobody's, or
somebody else's, in another one; a lock on a file is seen wherever the file is.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from testcluster.controlplane import remove

PREFIX = "rolecall-cluster-"


@contextlib.contextmanager
def new_folder() -> Iterator[Path]:
    """Give a folder for a cluster of this process; nothing of it is left afterwards."""
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        # The lock is given up last: until then nobody else removes the folder.
        lock = stack.enter_context((folder / "owner.new").open("w"))
        stack.callback(shutil.rmtree, folder)
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(_processes_seen())
        lock.flush()
        # By its name it is found only now that it is locked.
        Path(lock.name).rename(_owner_file(folder))
        yield folder


def sweep() -> None:
    """Remove clusters whose owner was killed before it could do so itself.

    Their processes are ended by number, so those of another container are left to whoever is there.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(FileNotFoundError), _owner_file(folder).open() as lock:
            if os.fstat(lock.fileno()).st_uid == os.getuid() and _is_abandoned(lock):
                remove(folder)


def _is_abandoned(lock: TextIO) -> bool:
    """Whether nobody holds the *lock*; this process does afterwards, which keeps others out."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return lock.read() == _processes_seen()


def _processes_seen() -> str:
    """Say among which processes a number means the same as here."""
    return str(Path("/proc/self/ns/pid").readlink())


def _owner_file(folder: Path) -> Path:
    return folder / "owner"
