"""Leaves in good order before the kernel ends everything: on cgroup v2 an OOM kill is the pod's.

The kubelet sets `memory.oom.group`, so that the supervisor is killed with its worker and the
endpoints close. A worker that leaves first has a successor, and the sockets stay open.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from rolecall_common.clock import Clock

log = logging.getLogger(__name__)

# Of what the container may have. A flood makes an agent grow by some 10 MB, of the chart's 160.
SHARE = 0.85
# A worker leaves at this age at the earliest: where a fresh one has too little, nothing is gained.
LEAST_AGE = timedelta(minutes=10)
_LOOK = timedelta(seconds=1)
_LARGEST = 64 * 1024
# What the kernel takes back by itself before it kills: pages of files, and its own caches.
_RECLAIMABLE = ("active_file", "inactive_file", "slab_reclaimable")


class MemoryLimitError(Exception):
    """Most of the memory that this process may have is used."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a cgroup has and may have, in bytes."""

    used: int  # Without what can be taken back.
    limit: int

    @property
    def is_short(self) -> bool:
        return self.used > SHARE * self.limit


def own_cgroup(proc: Path = Path("/proc/self")) -> Path | None:
    """Return the directory of this process's cgroup (v2); None where there is none to be seen."""
    try:
        groups = (proc / "cgroup").read_text()
        mounts = (proc / "mountinfo").read_text()
    except (OSError, ValueError):
        return None
    group = next((line[3:] for line in groups.splitlines() if line.startswith("0::")), None)
    for line in mounts.splitlines() if group is not None else ():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if not after.startswith("cgroup2 ") or len(fields) < 5:  # noqa: PLR2004 - root and place
            continue
        root, place = fields[3].rstrip("/"), fields[4]
        if group is not None and (group == root or group.startswith(f"{root}/")):
            return Path(place) / group.removeprefix(root).lstrip("/")
    return None


def read(cgroup: Path) -> Memory | None:
    """Return how much it has; None where there is no limit, or nothing that can be read."""
    try:
        limit = int(_text(cgroup / "memory.max"))
        current = int(_text(cgroup / "memory.current"))
        if current <= SHARE * limit:
            return Memory(current, limit)  # The rest is dear to ask for, and changes nothing.
        fields = dict(line.split(" ", 1) for line in _text(cgroup / "memory.stat").splitlines())
        reclaimable = sum(int(fields.get(name, 0)) for name in _RECLAIMABLE)
    except (OSError, ValueError):
        return None
    return Memory(max(0, current - reclaimable), limit)


async def leave_when_short(clock: Clock, look: Callable[[], Memory | None]) -> NoReturn:
    """Look every second. Raises MemoryLimitError once memory is short, and this worker is old."""
    begun, told = clock.now(), False
    while True:
        memory = look()
        if memory is not None and memory.is_short:
            fields = {"used": memory.used, "limit": memory.limit}
            if clock.now() - begun >= LEAST_AGE:
                log.warning("memory is short: another worker takes this one's place", extra=fields)
                raise MemoryLimitError
            if not told:
                log.warning("memory is short, and this worker is too young to leave", extra=fields)
                told = True
        await clock.sleep(_LOOK)


def _text(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(_LARGEST).decode("ascii")
