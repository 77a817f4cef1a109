"""Tells that a file was replaced, by the kernel's inotify, for which Python has no module."""

import asyncio
import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_EVENT = struct.Struct("=iIII")  # inotify(7): watch, mask, cookie, length of the name that follows.
_MOVED_TO = 0x80
_MOST = 64 * 1024


@contextlib.contextmanager
def watching(path: Path, changed: asyncio.Event) -> Iterator[None]:
    """Set *changed* whenever *path* is replaced, while the block runs. Raises OSError.

    Others may write what they will into its directory.
    """
    loop = asyncio.get_running_loop()
    descriptor = _watch(path.parent)

    def read() -> None:
        if path.name in names(os.read(descriptor, _MOST)):
            changed.set()

    try:
        loop.add_reader(descriptor, read)
        yield
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def names(events: bytes) -> set[str]:
    """Return which files *events* are about."""
    found, offset = set(), 0
    while offset + _EVENT.size <= len(events):
        length = _EVENT.unpack_from(events, offset)[-1]
        offset += _EVENT.size
        found.add(os.fsdecode(events[offset : offset + length].partition(b"\0")[0]))
        offset += length
    return found


def _watch(directory: Path) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise _error(directory)
    if libc.inotify_add_watch(descriptor, os.fsencode(directory), _MOVED_TO) < 0:
        error = _error(directory)
        os.close(descriptor)
        raise error
    return descriptor


def _error(directory: Path) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), str(directory))
