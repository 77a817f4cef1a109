"""Gives back pages of files, such as code that a process runs at its start and never again.

They are clean copies of what is on disk: the kernel takes them back by itself as soon as memory is
short, and brings one in again when it is touched. Until then they count as the process's (RSS), and
as much again in each of its kind. What a process has written is left alone.
"""

import ctypes
from collections.abc import Iterator
from pathlib import Path

_MADV_DONTNEED = 4  # madvise(2): drop the pages, and read the file again where one is touched.
# Private_Dirty is what it has written, Anonymous what is a copy of its own by now.
_OWN = ("Anonymous:", "Private_Dirty:")

Range = tuple[int, int]


def give_back(smaps: Path = Path("/proc/self/smaps")) -> None:
    """Give back all pages of files that this process only reads, where the kernel lets it."""
    try:
        ranges = list(clean_ranges(smaps.read_text(errors="replace")))
    except OSError:
        return
    madvise = getattr(ctypes.CDLL(None), "madvise", None)
    if madvise is None:
        return
    for start, end in ranges:
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)


def clean_ranges(smaps: str) -> Iterator[Range]:
    """Yield where files are mapped that cannot be written there, and of which nothing was."""
    found: Range | None = None
    for line in smaps.splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            if found is not None:
                yield found
            found = _of_a_file(words)
        elif words[0] in _OWN and words[1] != "0":
            found = None
    if found is not None:
        yield found


def _of_a_file(words: list[str]) -> Range | None:
    """Return the range of a mapping by its first line, where it is a file's, and only read."""
    where, rights, _, _, inode, *_ = words
    if inode == "0" or not rights.startswith("r-"):
        return None
    start, end = (int(each, 16) for each in where.split("-"))
    return start, end
