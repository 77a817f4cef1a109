"""Lines are written by a thread: nobody waits for whoever reads them, and no line is torn."""

import contextlib
import os
import resource
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.running import PATIENCE
from rolecall_common.line_writer import LineWriter, Room

MUCH = Room(lines=10_000, size=1 << 24)
LITTLE = Room(lines=100, size=1 << 24)


def say_lost(count: int) -> str:
    return f"lost {count}\n"


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Open a pipe: the end to read from, and the end to write to."""
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        for each in (reader, writer):
            with contextlib.suppress(OSError):
                os.close(each)


def fill(writer: int) -> int:
    """Fill a pipe to the brim; return how much that took."""
    size = 0
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            size += os.write(writer, b"x" * select.PIPE_BUF)
    os.set_blocking(writer, True)
    return size


def read_until(reader: int, last: bytes) -> bytes:
    """Read a pipe until what came out of it ends with *last*."""
    data = b""
    while not data.endswith(last):
        data += os.read(reader, 1 << 16)
    return data


def test_whoever_has_lines_does_not_wait_for_their_reader() -> None:
    """The pipe is full all the while, and every line is taken at once."""
    with pipe() as (reader, writer):
        filled = fill(writer)
        lines = LineWriter(writer, MUCH, say_lost)
        for number in range(1000):
            lines.write(f"{number}\n")
        is_written = lines.drain(0)
        os.read(reader, filled)
        said = read_until(reader, b"999\n")
        lines.close(PATIENCE)

    assert not is_written
    assert said == b"".join(b"%d\n" % number for number in range(1000))
    assert lines.lost == 0


@pytest.mark.parametrize(
    "room", [Room(lines=100, size=1 << 20), Room(lines=1000, size=400)], ids=["lines", "bytes"]
)
def test_what_has_no_room_is_counted_and_said_in_its_place(room: Room) -> None:
    """The gap is where it was, and what comes once there is room follows it."""
    with pipe() as (reader, writer):
        filled = fill(writer)
        lines = LineWriter(writer, room, say_lost)
        for number in range(150):
            lines.write(f"{number:03}\n")
        os.read(reader, filled)
        said = read_until(reader, b"lost 50\n")
        lines.write("and on\n")
        said += read_until(reader, b"and on\n")
        lines.close(PATIENCE)

    assert said.split() == [
        *(b"%03d" % number for number in range(100)),
        b"lost",
        b"50",
        *b"and on".split(),
    ]
    assert lines.lost == 50


def test_who_hears_of_a_loss_hears_of_each_gap_once() -> None:
    """An outage of the reader is one event, however many lines it costs."""
    heard: list[str] = []
    with pipe() as (reader, writer):
        filled = fill(writer)
        lines = LineWriter(writer, LITTLE, say_lost, heard.append)
        for _ in range(150):
            lines.write("x\n")
        os.read(reader, filled)
        read_until(reader, b"lost 50\n")
        lines.close(PATIENCE)

    assert heard == ["whoever reads them does not keep up"]


def test_a_pipe_that_somebody_made_non_blocking_loses_nothing() -> None:
    """That is a property of the pipe, and whoever else has its end may set it."""
    with pipe() as (reader, writer):
        filled = fill(writer)
        os.set_blocking(writer, False)
        lines = LineWriter(writer, MUCH, say_lost)
        for _ in range(100):
            lines.write("x" * 5000 + "\n")
        lines.write("end\n")
        os.read(reader, filled)
        said = read_until(reader, b"end\n")
        lines.close(PATIENCE)

    assert said == (b"x" * 5000 + b"\n") * 100 + b"end\n"
    assert lines.lost == 0


def test_lines_of_two_writers_to_one_pipe_stay_whole() -> None:
    """Log and audit may go to one file, as `2>&1` has it."""
    with pipe() as (reader, writer):
        writers = [LineWriter(writer, MUCH, say_lost) for _ in range(2)]
        for _ in range(2000):
            for name, lines in zip("ab", writers, strict=True):
                lines.write(name * 99 + "\n")
        said = b""
        while len(said) < 2 * 2000 * 100:
            said += os.read(reader, 1 << 16)
        for lines in writers:
            lines.close(PATIENCE)

    assert set(said.splitlines()) == {b"a" * 99, b"b" * 99}


def test_a_reader_that_has_gone_stops_nobody() -> None:
    """Stdout may be a pipe, and its other end may die."""
    with pipe() as (reader, writer):
        lines = LineWriter(writer, MUCH, say_lost)
        lines.write("heard\n")
        lines.drain(PATIENCE)
        os.close(reader)
        lines.write("lost\n")
        lines.close(PATIENCE)

    assert lines.lost == 1


def test_the_end_does_not_wait_for_a_reader_for_ever() -> None:
    """A process that was told to end does so, whoever reads."""
    with pipe() as (reader, writer):
        filled = fill(writer)
        lines = LineWriter(writer, MUCH, say_lost)
        lines.write("last\n")
        closed = lines.close(0.01)
        os.read(reader, filled)
        said = read_until(reader, b"last\n")

    assert not closed
    assert said == b"last\n"


@pytest.mark.parametrize("room", [0, 10], ids=["none", "half a line"])
def test_lines_are_written_again_once_a_disk_has_room(tmp_path: Path, room: int) -> None:
    """A disk that was full for a while costs the lines of that while, and spoils no other."""
    file = tmp_path / "lines"
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        lines = LineWriter(descriptor, MUCH, say_lost)
        lines.write("this was before\n")
        lines.drain(PATIENCE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + room, limits[1]))
        lines.write("this is lost, in part\n")
        lines.drain(PATIENCE)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        lines.write("this is after\n")
        lines.close(PATIENCE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
        os.close(descriptor)

    first, *torn, notice, last = file.read_text().splitlines()
    assert lines.lost == 1
    assert (first, notice, last) == ("this was before", "lost 1", "this is after")
    assert torn == (["this is lo"] if room else [])
