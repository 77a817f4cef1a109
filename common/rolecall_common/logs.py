"""The log: one event a line, a constant message and its fields, as JSON or as text."""

import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from rolecall_common.output import LogFormat, LogLevel

log = logging.getLogger(__name__)

# Whose level the setting is. All others say warnings at most: botocore logs whole answers of STS,
# secrets included, when it is let.
_OURS = ("agent", "cli", "common", "proto", "server")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(form: LogFormat, level: LogLevel, stream: TextIO | None = None) -> None:
    """Log to *stream*, or stderr, from now on; what was configured before is replaced."""
    out = stream if stream is not None else sys.stderr
    if form is LogFormat.AUTO:
        form = LogFormat.TEXT if out.isatty() else LogFormat.JSON
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines() if form is LogFormat.JSON else TextLines())
    ours = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(ours, logging.WARNING), handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(f"rolecall_{name}").setLevel(ours)
    sys.excepthook = _last_words


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
            "message": record.getMessage(),
            **dict(_fields(record)),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        # ASCII only: no line separator of another alphabet can end a line.
        return json.dumps(entry, default=str)


class TextLines(logging.Formatter):
    """One line for a person; whatever a field holds, it cannot begin another one."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = "".join(f" {key}={_plain(value)}" for key, value in _fields(record))
        line = f"{time} {record.levelname:7} {record.getMessage()}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    return ((key, value) for key, value in vars(record).items() if key not in _STANDARD)


def _plain(value: object) -> str:
    text = str(value)
    return text if text.isascii() and text.isprintable() and " " not in text else json.dumps(text)
