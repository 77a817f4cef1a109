"""The log: one event a line, whatever its fields hold."""

import ast
import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.logging_state import restored_logging
from rolecall_common import logs
from rolecall_common.output import LogFormat, LogLevel
from rolecall_common.secret import Secret

HOSTILE = 'x\n{"level": "info"}\r\x1b[31m\u2028\ud800"='


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with restored_logging():
        yield


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


@pytest.mark.parametrize("form", [LogFormat.JSON, LogFormat.TEXT])
def test_no_message_of_a_library_begins_a_line_either(form: LogFormat) -> None:
    """Libraries put into their messages what peers have sent them."""
    [line] = logged(form, f"unexpected answer {HOSTILE}").splitlines()

    assert line.isprintable()


@pytest.mark.parametrize("form", [LogFormat.JSON, LogFormat.TEXT])
def test_a_huge_value_is_cut(form: LogFormat) -> None:
    """A line that a container runtime would part is no line; what is left can be recognised."""
    [line] = logged(
        form, "x" * 10**6, role="\x00" * 10**6, count=2, listen=["y" * 10**6]
    ).splitlines()

    assert len(line) < 3 * 6 * 2048
    assert "count" in line


def test_a_field_keeps_its_kind_where_json_has_one() -> None:
    """Numbers can be summed, lists searched; all else is what it says of itself."""
    entry = json.loads(
        logged(
            LogFormat.JSON,
            "kinds",
            number=2,
            share=0.5,
            nothing=None,
            yes=True,
            many=("a", 1, Secret("canary-7Qx")),
            where=Path("/x"),
            unknown=float("nan"),
            secret=Secret("canary-7Qx"),
        )
    )

    assert entry["many"] == ["a", 1, "Secret(…)"]
    assert entry["where"] == "/x"
    assert entry["unknown"] == "nan"
    assert (entry["number"], entry["share"], entry["nothing"], entry["yes"]) == (2, 0.5, None, True)
    assert str(entry["secret"]) == str(Secret("canary-7Qx"))


def test_a_field_cannot_pass_itself_off_as_the_lines_own() -> None:
    """A line of level warning is one, whatever is said in it."""
    fields = {"level": "info", "time": "never", "logger": "x", "traceback": "none"}
    entry = json.loads(logged(LogFormat.JSON, "hello", **fields))

    assert (entry["level"], entry["logger"]) == ("warning", "rolecall_server.test")
    assert entry["level_"] == "info"
    assert entry["traceback_"] == "none"
    assert "traceback" not in entry


def literal_fields(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the keys of every literal `extra=` in *path*, and where they are."""
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.keyword)
            and node.arg == "extra"
            and isinstance(node.value, ast.Dict)
        ):
            for key in node.value.keys:
                if isinstance(key, ast.Constant):
                    yield node.value.lineno, str(key.value)


def test_no_field_of_ours_has_a_name_that_logging_keeps_for_itself() -> None:
    """`name` or `module` as a field would raise KeyError in place of the line."""
    kept = {*vars(logging.makeLogRecord({})), "message", "asctime"}
    own = {"time", "level", "logger", "traceback"}
    found = {
        (str(path), line, key): key
        for folder in ("agent", "cli", "common", "proto", "server")
        for path in (Path(__file__).parents[3] / folder).rglob("*.py")
        for line, key in literal_fields(path)
    }

    assert len(found) > 10  # It looks where the fields are.
    assert [where for where, key in found.items() if key in kept | own] == []


def test_a_traceback_in_text_is_indented_so_that_it_begins_no_line() -> None:
    """An exception may quote what a pod has sent."""
    out = io.StringIO()
    logs.configure(LogFormat.TEXT, LogLevel.INFO, out)
    error = ValueError(f"quoted: {HOSTILE}\n12:00:00 INFO    all is well")
    logging.getLogger("rolecall_server.test").error("a bug around one object", exc_info=error)
    first, *rest = out.getvalue().rstrip("\n").split("\n")

    assert first.endswith("ERROR   a bug around one object")
    assert all(line.startswith("    ") and line.isprintable() for line in rest)


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


def test_a_library_that_was_told_to_talk_is_not_heard_either() -> None:
    """Its own level, set by whatever means, does not open the log to it."""
    out = io.StringIO()
    logs.configure(LogFormat.JSON, LogLevel.DEBUG, out)
    library = logging.getLogger("botocore.parsers")
    library.setLevel(logging.DEBUG)
    try:
        library.debug("SecretAccessKey")
    finally:
        library.setLevel(logging.NOTSET)

    assert out.getvalue() == ""


def test_our_own_debugging_is_heard_where_it_was_asked_for() -> None:
    """The level is the setting of what we say."""
    out = io.StringIO()
    logs.configure(LogFormat.JSON, LogLevel.DEBUG, out)
    logging.getLogger("rolecall_agent.sync.stream").debug("hello")

    assert json.loads(out.getvalue())["level"] == "debug"


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
