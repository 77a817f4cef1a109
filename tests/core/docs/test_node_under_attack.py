"""The page of attacks on a node names what is there: no attempt without a test."""

import pytest

from core.docs.tables import assert_numbered, assert_test_is_there, rows_of

ROWS = rows_of("node-under-attack.md", r"N\d\d")


def test_numbers_are_given_once_and_in_order() -> None:
    """A number that was given is never another attempt's."""
    assert_numbered(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_test_of_an_attempt_is_there(row: list[str]) -> None:
    """By file and by name, and every cell says something."""
    assert len(row) == 5
    assert all(row)
    assert_test_is_there(row[4])
