"""Control groups for nodes: each node has a subtree of every hierarchy of version 1."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

_ALL = Path("/sys/fs/cgroup")


def is_version_1() -> bool:
    """Whether each controller has a hierarchy of its own, which is all that this code knows."""
    return (_ALL / "memory" / "cgroup.procs").exists()


def group_of(folder: Path) -> str:
    """Return the name of the group that all nodes of the cluster in *folder* are below."""
    digest = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()
    return f"rolecall-test-{digest[:12]}"


def make_group(name: str) -> None:
    """Make the group *name*, with slashes for those that it is in, in every hierarchy."""
    for hierarchy in _hierarchies():
        group = hierarchy
        for part in name.split("/"):
            group = group / part
            group.mkdir(exist_ok=True)
            _open_to_children(group)


def remove_group(name: str) -> None:
    """Remove the group *name* and all below it; their processes must have ended."""
    for hierarchy in _hierarchies():
        top = hierarchy / name
        # Children before their parents.
        below = sorted(top.rglob("**/"), reverse=True) if top.is_dir() else []
        for group in [*below, top]:
            with contextlib.suppress(FileNotFoundError):
                group.rmdir()


def _open_to_children(group: Path) -> None:
    """Let a group of the hierarchy of processors have processes: a new one has no processors."""
    for kind in ("cpus", "mems"):
        own, above = group / f"cpuset.{kind}", group.parent / f"cpuset.{kind}"
        if own.exists() and not own.read_text().strip():
            own.write_text(above.read_text())
    if (inherits := group / "cgroup.clone_children").exists():
        inherits.write_text("1")


def _hierarchies() -> Iterator[Path]:
    for found in sorted(_ALL.iterdir()):
        # Several names may lead to one.
        if not found.is_symlink() and (found / "cgroup.procs").exists():
            yield found
