"""A secret can be used, and cannot be printed."""

import copy
import json
import logging
import pickle
import traceback

import pytest

from rolecall_common.logs import JsonLines, TextLines
from rolecall_common.secret import Secret

CANARY = "canary-7Qx"


def test_no_way_of_writing_it_shows_it() -> None:
    """Neither repr nor str nor format."""
    secret = Secret(CANARY)

    written = [repr(secret), str(secret), ascii([secret]), f"{secret} {secret!r} {secret:>40}"]
    assert CANARY not in "".join(written)


def test_reveal_is_the_way_to_the_text() -> None:
    """The one word that a reader searches for."""
    assert Secret(CANARY).reveal() == CANARY


def test_it_compares_by_its_text() -> None:
    """Two equal secrets are one key."""
    assert len({Secret(CANARY), Secret(CANARY), Secret("other")}) == 2
    assert Secret(CANARY) != CANARY


def test_it_is_not_pickled_nor_copied_by_way_of_pickle() -> None:
    """Nothing of it lands in a file or another process."""
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="pickled"):
            attempt(Secret(CANARY))
    with pytest.raises(TypeError):
        json.dumps(Secret(CANARY))


@pytest.mark.parametrize("lines", [JsonLines(), TextLines()])
def test_a_log_line_with_a_secret_as_field_does_not_show_it(lines: logging.Formatter) -> None:
    """Not even by mistake."""
    record = logging.makeLogRecord({"msg": "a mistake", "token": Secret(CANARY)})

    assert CANARY not in lines.format(record)


def test_a_traceback_does_not_show_it() -> None:
    """An exception may hold a secret, and is printed without it."""
    error = ValueError("a mistake", Secret(CANARY))

    assert CANARY not in "".join(traceback.format_exception(error))
