"""A pipe into which nothing goes until it is read: as if who reads a program stood still."""

import contextlib
import json
import os
import select
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FullPipe:
    """Both ends of it, and how much was in it at first."""

    reader: int
    writer: int
    filled: int

    def read(self) -> list[dict[str, str]]:
        """Return every line that is written to it until its writers have ended."""
        os.close(self.writer)
        with os.fdopen(os.dup(self.reader), "rb") as file:
            lines = file.read()[self.filled :].splitlines()
        return [json.loads(line) for line in lines]


@contextlib.contextmanager
def full_pipe() -> Iterator[FullPipe]:
    """Make one; its ends are closed with the block."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filled += os.write(writer, b"x" * select.PIPE_BUF)
    os.set_blocking(writer, True)
    yield FullPipe(reader, writer, filled)
    for each in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(each)
