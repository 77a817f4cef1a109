"""The page of public reports names what is there: nothing is said to hold without a test."""

import pytest

from core.docs.tables import assert_numbered, assert_test_is_there, rows_of

ROWS = rows_of("public-reports.md", r"R\d\d")


def test_numbers_are_given_once_and_in_order() -> None:
    """A number that was given is never another report's."""
    assert_numbered(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_test_of_a_report_is_there(row: list[str]) -> None:
    """By file and by name, and every cell says something."""
    assert len(row) == 5
    assert all(row)
    assert_test_is_there(row[4])
