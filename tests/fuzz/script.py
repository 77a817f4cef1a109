"""What a script's bytes mean: HTTP, and in between what else happens.

A byte below 0xF0 is one that the client sends. Those from 0xF0 on are steps of a scene; what was
sent before one that takes a turn arrives in one piece. Any bytes are a script, and a change of one
byte changes it little: both are what a fuzzer needs.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass


class Kind(enum.IntEnum):
    """What may happen."""

    SEND = 0

    # What takes a turn of the loop.
    PAUSE = 0xF0  # Nothing else: what follows comes in another piece.
    END = 0xF1  # The client sends no more.
    WAIT = 0xF2  # So many tenths of a second pass.
    LONG_WAIT = 0xF3  # So many minutes pass.
    STOP_READING = 0xF4
    READ = 0xF5
    SWITCH = 0xF6  # Go on with that client's last connection, or its first.
    CHANGE = 0xF7  # Something about the node changes: see `World.change`.
    RESET = 0xF8  # The connection is cut.
    CONNECT = 0xF9  # The same client opens another connection.
    UNSYNCED = 0xFA  # At the very beginning: the agent has heard of no server yet.

    # What is sent, too.
    LITERAL = 0xFB  # That byte, whatever it is.
    OWN_TOKEN = 0xFC  # A token that is good for this client.
    OTHER_TOKEN = 0xFD  # One that is good for that client.
    FILL = 0xFE  # So many times sixty-four letters.
    REPEAT = 0xFF  # The last request once more, so many times.


SENT = frozenset(
    {Kind.SEND, Kind.LITERAL, Kind.OWN_TOKEN, Kind.OTHER_TOKEN, Kind.FILL, Kind.REPEAT}
)
_WITH_OPERAND = frozenset(
    {Kind.WAIT, Kind.LONG_WAIT, Kind.SWITCH, Kind.CHANGE}
    | {Kind.LITERAL, Kind.OTHER_TOKEN, Kind.FILL, Kind.REPEAT}
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens; *number* is the byte after those that take one."""

    kind: Kind
    number: int = 0
    data: bytes = b""


def steps(script: bytes) -> Iterator[Step]:
    """Read *script*. Never raises."""
    start = position = 0
    while position < len(script):
        byte = script[position]
        if byte < Kind.PAUSE:
            position += 1
            continue
        if start < position:
            yield Step(Kind.SEND, data=script[start:position])
        kind = Kind(byte)
        takes = kind in _WITH_OPERAND
        number = script[position + 1] if takes and position + 1 < len(script) else 0
        start = position = position + 1 + takes
        yield Step(kind, number)
    if start < len(script):
        yield Step(Kind.SEND, data=script[start:])


def written(script: bytes) -> str:
    """Return *script* as one printable line, which `read` takes."""
    return "".join(_SHORT.get(byte) or _plain(byte) for byte in script)


def read(line: str) -> bytes:
    """Return the script that *line* stands for."""
    return line.encode("latin-1").decode("unicode_escape").encode("latin-1")


_SHORT = {9: "\\t", 10: "\\n", 13: "\\r", 92: "\\\\"}


def _plain(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"
