"""Writes lines to a descriptor from a thread of its own, so that nobody waits for their reader.

Whoever reads a pipe may stand still for seconds, and a disk may be slow. An event loop that wrote
there itself would stand still as well, and so would all whom it answers.
"""

import os
import select
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from queue import Empty, SimpleQueue
from threading import Event, Thread

_TOO_SLOW = "whoever reads them does not keep up"


@dataclass(frozen=True, slots=True)
class Room:
    """How much may wait to be written; what comes beyond it is lost."""

    lines: int
    size: int  # bytes


class _Mark(Enum):
    LOST = "lines were lost here"
    END = "there are no more"


_Item = bytes | Event | _Mark


class LineWriter:
    """Takes lines without waiting, and writes them in their order, each whole.

    What cannot be written is counted, and a line says how much that was once lines flow again. No
    lock is held while a line is taken, so that nobody is in the way of what interrupts him; two
    threads have to take turns.

    Args:
        descriptor: Where the lines go. It stays open.
        room: How much may wait.
        say_lost: Returns the line that says how many were lost.
        on_loss: Called with the reason when a line is refused, or the first one has no room.
    """

    def __init__(
        self,
        descriptor: int,
        room: Room,
        say_lost: Callable[[int], str],
        on_loss: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._say_lost = say_lost
        self._on_loss = on_loss
        self._room = room
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._taken = self._taken_size = self._without_room = 0  # Changed by who has lines alone.
        self._losing = False
        self._done = self._done_size = self._refused = 0  # Changed by the thread alone.
        self._said = 0
        self._out = _Descriptor(descriptor)
        self._thread = Thread(target=self._run, name="write lines", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        return self._without_room + self._refused

    def write(self, line: str) -> None:
        """Have *line*, with its end, written after all before it, if there is room."""
        data = line.encode(errors="backslashreplace")
        size = len(data)
        # Where some were lost, half of the room has to be there again: gaps are few, and long.
        part = 2 if self._losing else 1
        waiting, waiting_size = self._taken - self._done, self._taken_size - self._done_size
        if waiting < self._room.lines // part and waiting_size + size <= self._room.size // part:
            self._losing = False
            self._taken += 1
            self._taken_size += size
            self._queue.put(data)
            return
        self._without_room += 1
        if not self._losing:
            self._losing = True
            self._queue.put(_Mark.LOST)
            self._on_loss(_TOO_SLOW)

    def drain(self, seconds: float) -> bool:
        """Wait until all that was taken is written, *seconds* at most; return whether it is."""
        written = Event()
        self._queue.put(written)
        return written.wait(seconds)

    def close(self, seconds: float) -> bool:
        """Drain it for good; return False where its thread is at a write that does not end."""
        drained = self.drain(seconds)
        self._queue.put(_Mark.END)
        if drained:
            self._thread.join()
        return drained

    def _run(self) -> None:
        item: _Item | None = None
        while item is not _Mark.END:
            batch: list[bytes] = []
            item = self._queue.get()
            while isinstance(item, bytes):
                if batch and sum(map(len, batch)) + len(item) > select.PIPE_BUF:
                    self._write(batch)
                    batch = []
                batch.append(item)
                item = self._next()
            self._write(batch)
            if item is _Mark.LOST:
                self._write_notice()
            elif isinstance(item, Event):
                item.set()

    def _next(self) -> _Item | None:
        try:
            return self._queue.get_nowait()
        except Empty:
            return None

    def _write(self, lines: list[bytes]) -> None:
        """Write *lines* at once; one that is refused is lost, and those after it are not."""
        if lines and self._refused:
            self._write_notice()
        while lines:
            whole, reason = self._out.write(lines)
            settled = lines[: whole + (reason is not None)]
            lines = lines[len(settled) :]
            self._done += len(settled)
            self._done_size += sum(map(len, settled))
            if reason is not None:
                self._refused += 1
                self._on_loss(reason)

    def _write_notice(self) -> None:
        count = self.lost - self._said
        if count and self._out.write([self._say_lost(count).encode()])[1] is None:
            self._said += count


class _Descriptor:
    """Lines to a file descriptor. One that was torn, by a disk that is full, spoils no other."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._torn = False

    def write(self, lines: list[bytes]) -> tuple[int, str | None]:
        """Return how many of *lines* are written whole, and what kept the next one from it."""
        data = b"".join(lines)
        rest, reason = memoryview(b"\n" * self._torn + data), None
        try:
            while rest:
                rest = rest[self._write_some(rest) :]
        except OSError as error:
            reason = error.strerror
        written, whole = len(data) - len(rest), 0
        while whole < len(lines) and written >= len(lines[whole]):
            written -= len(lines[whole])
            whole += 1
        self._torn = written > 0 or (self._torn and written < 0)
        return whole, reason

    def _write_some(self, data: memoryview) -> int:
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # Whoever has the other end, or this one too, has made it so.
                room = select.poll()
                room.register(self._descriptor, select.POLLOUT)
                room.poll()
