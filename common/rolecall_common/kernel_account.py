"""What the kernel says of this process, by the names that all of Prometheus's clients use."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from rolecall_common.metrics import Family, Kind, Metric, family

CPU = Metric("process_cpu_seconds_total", Kind.COUNTER, "Time on a CPU, user and system.")
STARTED = Metric("process_start_time_seconds", Kind.GAUGE, "When it was started, as Unix time.")
RESIDENT = Metric("process_resident_memory_bytes", Kind.GAUGE, "Resident memory (RSS).")
VIRTUAL = Metric("process_virtual_memory_bytes", Kind.GAUGE, "Virtual memory.")
OPEN_FILES = Metric("process_open_fds", Kind.GAUGE, "Open file descriptors.")
MOST_FILES = Metric("process_max_fds", Kind.GAUGE, "The most file descriptors that it may open.")

_PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")


def account() -> Iterator[Family]:
    """Yield it as it is now; nothing where there is no /proc."""
    try:
        # Fields 14, 15 and 22 to 24 of proc(5), counted after the name, which may contain blanks.
        stat = (_PROC / "self/stat").read_text().rpartition(")")[2].split()
        lines = (_PROC / "stat").read_text().splitlines()
        files = sum(1 for _ in (_PROC / "self/fd").iterdir())
    except OSError:
        return
    booted = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield family(CPU, {(): (int(stat[11]) + int(stat[12])) / _TICK})
    yield family(STARTED, {(): booted + int(stat[19]) / _TICK})
    yield family(RESIDENT, {(): int(stat[21]) * resource.getpagesize()})
    yield family(VIRTUAL, {(): int(stat[20])})
    yield family(OPEN_FILES, {(): files})
    yield family(MOST_FILES, {(): most})
