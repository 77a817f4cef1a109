"""The log: one event a line, whatever its fields hold."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from rolecall_common import logs
from rolecall_common.output import LogFormat, LogLevel

HOSTILE = 'x\n{"level": "info"}\r\x1b[31m\u2028\ud800"='


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave loggers and the last words as pytest set them up."""
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("agent", "cli", "common", "proto", "server"):
        logging.getLogger(f"rolecall_{name}").setLevel(logging.NOTSET)
    sys.excepthook = hook


def logged(form: LogFormat, message: str, **fields: object) -> str:
    out = io.StringIO()
    logs.configure(form, LogLevel.DEBUG, out)
    logging.getLogger("rolecall_server.test").warning(message, extra=fields)
    return out.getvalue()


def test_a_json_line_holds_time_level_logger_message_and_fields() -> None:
    """What a collector of logs indexes."""
    entry = json.loads(logged(LogFormat.JSON, "a pod is denied its role", pod="web-1", count=2))

    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "level": "warning",
        "logger": "rolecall_server.test",
        "message": "a pod is denied its role",
        "pod": "web-1",
        "count": 2,
    }


def test_a_line_of_text_is_for_people() -> None:
    """The message, then the fields; what has blanks is quoted."""
    line = logged(LogFormat.TEXT, "a pod is denied its role", pod="web-1", why="it must not")

    assert line.endswith(' WARNING a pod is denied its role pod=web-1 why="it must not"\n')


@pytest.mark.parametrize("form", [LogFormat.JSON, LogFormat.TEXT])
def test_no_field_begins_a_line_or_paints_a_terminal(form: LogFormat) -> None:
    """Annotations are written by anyone."""
    [line] = logged(form, "a pod is denied its role", role=HOSTILE).splitlines()

    assert line.isascii()
    assert line.isprintable()


def test_a_traceback_is_a_field_of_its_line() -> None:
    """A bug is one event, too."""
    out = io.StringIO()
    logs.configure(LogFormat.JSON, LogLevel.INFO, out)
    try:
        int("a bug")
    except ValueError:
        logging.getLogger("rolecall_server.test").exception("a bug around one object")

    [line] = out.getvalue().splitlines()
    assert json.loads(line)["traceback"].endswith("'a bug'")


@pytest.mark.parametrize(
    "name",
    ["botocore.parsers", "urllib3.connectionpool", "aiohttp.access", "grpc._cython", "asyncio"],
)
def test_libraries_stay_quiet_whatever_our_level(name: str) -> None:
    """Botocore logs whole answers of STS when it debugs."""
    out = io.StringIO()
    logs.configure(LogFormat.JSON, LogLevel.DEBUG, out)
    logging.getLogger(name).debug("SecretAccessKey")
    logging.getLogger(name).info("GET /latest/meta-data")
    logging.getLogger(name).warning("a library's warning")

    assert [json.loads(line)["level"] for line in out.getvalue().splitlines()] == ["warning"]


def test_auto_is_json_where_nobody_watches() -> None:
    """Text is for a terminal alone."""
    assert logged(LogFormat.AUTO, "hello").startswith("{")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_auto_is_text_on_a_terminal() -> None:
    """A person reads it."""
    out = Terminal()
    logs.configure(LogFormat.AUTO, LogLevel.INFO, out)
    logging.getLogger("rolecall_server.test").info("hello")

    assert out.getvalue().endswith(" INFO    hello\n")


def test_the_level_is_the_least_that_is_logged() -> None:
    """info, unless somebody says otherwise."""
    out = io.StringIO()
    logs.configure(LogFormat.JSON, LogLevel.WARNING, out)
    logging.getLogger("rolecall_server.test").info("hello")

    assert out.getvalue() == ""


def test_what_ends_the_process_is_a_line_like_every_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A collector of logs sees the bug, with its traceback in one field."""
    logs.configure(LogFormat.JSON, LogLevel.INFO)
    error = ZeroDivisionError("nobody foresaw this")
    sys.excepthook(type(error), error, None)
    entry = json.loads(capsys.readouterr().err)

    assert entry["level"] == "critical"
    assert "nobody foresaw this" in entry["traceback"]
