"""Pages of files that a process gives back, on the kernel that this runs on."""

import _pydecimal
import mmap
from pathlib import Path

from rolecall_common.file_pages import clean_ranges, give_back

SMAPS = """\
10000000-10002000 r-xp 00000000 08:01 77 /usr/bin/python
Rss:                   8 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
20000000-20001000 r--p 00000000 08:01 78 /usr/lib/relocated.so
Private_Dirty:         4 kB
Anonymous:             4 kB
30000000-30001000 rw-p 00000000 08:01 78 /usr/lib/relocated.so
Private_Dirty:         0 kB
Anonymous:             0 kB
40000000-40001000 r--p 00000000 00:00 0
Anonymous:             0 kB
50000000-50003000 r--p 00000000 08:01 79 /usr/lib/a name
Private_Dirty:         0 kB
Anonymous:             0 kB
60000000-60001000 ---p 00000000 08:01 79 /usr/lib/a name
Anonymous:             0 kB
"""


def test_only_what_is_a_files_and_was_never_written_is_given_back() -> None:
    """A page of relocated addresses is read-only by now, and in no file."""
    assert list(clean_ranges(SMAPS)) == [(0x10000000, 0x10002000), (0x50000000, 0x50003000)]


def test_what_was_given_back_is_there_when_it_is_read() -> None:
    """And it counts for nothing until then."""
    file = Path(_pydecimal.__file__)  # A large one, which nobody has just written.
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        before = pages[:]
        read = resident(file)
        give_back()
        given_back = resident(file)
        after = pages[:]

    assert read >= len(before) // 1024
    assert given_back == 0
    assert after == before


def resident(file: Path) -> int:
    """Return how many KiB of *file* this process has mapped and in memory."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if line.endswith(str(file)))
    rss = next(line for line in lines[at:] if line.startswith("Rss:"))
    return int(rss.split()[1])
