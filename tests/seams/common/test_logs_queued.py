"""The log while whoever reads it stands still."""

import json
import logging
import os
import sys
from collections.abc import Iterator

import pytest

from fakes.logging_state import restored_logging
from fakes.running import PATIENCE
from rolecall_common import logs
from rolecall_common.line_writer import LineWriter, Room
from rolecall_common.output import LogFormat, LogLevel
from seams.common.test_line_writer import fill, pipe, read_until

log = logging.getLogger("rolecall_agent.test")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with restored_logging():
        yield


def test_whoever_logs_does_not_wait_for_the_reader_and_hears_what_was_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A line says how many were lost, in the form of every other one."""
    with pipe() as (reader, writer), os.fdopen(os.dup(writer), "w") as stderr:
        filled = fill(writer)
        monkeypatch.setattr(sys, "stderr", stderr)
        logs.configure(LogFormat.JSON, LogLevel.INFO)
        logs.queue(Room(lines=100, size=1 << 20))
        for number in range(150):
            log.warning("hello", extra={"number": number})
        lost = logs.lost()
        os.read(reader, filled)
        said = read_until(reader, b'"count": 50}\n')
        [handler] = logging.getLogger().handlers
        assert isinstance(handler, logging.StreamHandler)
        assert isinstance(handler.stream, LineWriter)
        handler.stream.close(PATIENCE)
    *lines, notice = map(json.loads, said.splitlines())

    assert lost == 50
    assert [line["number"] for line in lines] == list(range(100))
    assert (notice["level"], notice["message"]) == ("error", "lines of the log are lost")


def test_a_process_without_stderr_logs_to_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was closed by whoever started this one; that is no reason to end."""
    monkeypatch.setattr(sys, "stderr", None)
    logs.configure(LogFormat.AUTO, LogLevel.INFO)
    logs.queue(Room(lines=100, size=1 << 20))
    log.warning("hello")

    assert logs.lost() == 0
