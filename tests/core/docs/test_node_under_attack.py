"""The page of attacks on a node names what is there: no attempt without a test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/node-under-attack.md").read_text().splitlines()
    if re.match(r"\| N\d\d ", line)
]


def test_numbers_are_given_once_and_in_order() -> None:
    """A number that was given is never another attempt's."""
    assert [int(row[0][1:]) for row in ROWS] == list(range(1, len(ROWS) + 1))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_test_of_an_attempt_is_there(row: list[str]) -> None:
    """By file and by name, and every cell says something. A story of the lab is one too."""
    assert len(row) == 5
    assert all(row)
    file, _, name = row[4].strip("`").partition("::")

    text = (ROOT / file).read_text()
    assert re.search(rf"^(async )?def {re.escape(name)}\(", text, re.MULTILINE)
