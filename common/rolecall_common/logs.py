"""The log: one event a line, a constant message and its fields, as JSON or as text."""

import atexit
import json
import logging
import math
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from rolecall_common.line_writer import LineWriter, Room
from rolecall_common.output import LogFormat, LogLevel

log = logging.getLogger(__name__)

# Whose level the setting is. All others say warnings at most: botocore logs whole answers of STS,
# secrets included, when it is let.
_OURS = ("agent", "cli", "common", "proto", "server", "warden")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Container runtimes part a line at 16 KiB, and each half would be no JSON. An annotation can be of
# 256 KiB; this much of it will be recognised.
_LONGEST = 2048
# How long the end of the process may take for what is not written yet.
_LAST_SECONDS = 2.0


def configure(form: LogFormat, level: LogLevel, stream: TextIO | None = None) -> None:
    """Log to *stream*, or stderr, from now on; what was configured before is replaced."""
    out = stream or sys.stderr or _nowhere()
    if form is LogFormat.AUTO:
        form = LogFormat.TEXT if out.isatty() else LogFormat.JSON
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines() if form is LogFormat.JSON else TextLines())
    handler.addFilter(_is_for_operators)
    ours = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(ours, logging.WARNING), handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(f"rolecall_{name}").setLevel(ours)
    sys.excepthook = _last_words


def queue(room: Room) -> None:
    """Have what is logged from now on wait in *room* for a thread that writes it to stderr.

    Whoever logs goes on at once. Call it after `configure`, and in a program that stays what it is:
    another that took its place would lose what waits. At its end that is written, if it can be.
    """
    [handler] = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)  # noqa: S101 - as it was configured

    def say_lost(count: int) -> str:
        fields = {"name": __name__, "levelno": logging.ERROR, "levelname": "ERROR"}
        words = {"msg": "lines of the log are lost", "count": count}
        return handler.format(logging.makeLogRecord(fields | words)) + "\n"

    # A copy: whatever becomes of Python's own stream, the thread's stays what it is.
    lines = LineWriter(os.dup(handler.stream.fileno()), room, say_lost)
    handler.setStream(lines)
    atexit.register(lines.drain, _LAST_SECONDS)


def lost() -> int:
    """Return how many lines of the log could not be written since it is queued."""
    streams = (getattr(each, "stream", None) for each in logging.getLogger().handlers)
    return sum(each.lost for each in streams if isinstance(each, LineWriter))


def _nowhere() -> TextIO:
    # It stays open for good, as stderr would.
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", closefd=False)


def _is_for_operators(record: logging.LogRecord) -> bool:
    # A library can be told to say more by other means than this module; it is not heard.
    ours = record.name.startswith("rolecall_")
    return ours or record.levelno >= logging.WARNING


def _last_words(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log what ends the process, in the form of every other line."""
    log.critical("a bug ends the process; please report it", exc_info=(kind, error, trace))


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage()),
        }
        for key, value in _fields(record):
            # A field cannot pass itself off as the line's own.
            entry[f"{key}_" if key in entry or key == "traceback" else key] = _simple(value)
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        # ASCII only: no line separator of another alphabet can end a line.
        return json.dumps(entry)


class TextLines(logging.Formatter):
    """One line for a person; whatever a field holds, it cannot begin another one.

    A traceback follows in lines of its own, and they are indented.
    """

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = "".join(f" {key}={_plain(value)}" for key, value in _fields(record))
        line = f"{time} {record.levelname:7} {_printable(record.getMessage())}{fields}"
        if record.exc_info:
            trace = self.formatException(record.exc_info).splitlines()
            line += "".join(f"\n    {_printable(each)}" for each in trace)
        return line


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    return ((key, value) for key, value in vars(record).items() if key not in _STANDARD)


def _simple(value: object) -> object:
    """Return *value* if JSON has a form for it, else what it says of itself."""
    if isinstance(value, list | tuple):
        return [_simple(each) for each in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _printable(text: str) -> str:
    text = _cut(text)
    return text if text.isprintable() else json.dumps(text)[1:-1]


def _plain(value: object) -> str:
    text = _cut(str(value))
    return text if text.isascii() and text.isprintable() and " " not in text else json.dumps(text)
