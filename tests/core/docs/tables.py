"""The tables of pages that name a test in each row."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def rows_of(page: str, number: str) -> list[list[str]]:
    """Return the cells of each row of *page* that begins with such a *number*, an expression."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / page).read_text().splitlines()
        if re.match(rf"\| {number} ", line)
    ]


def assert_numbered(rows: list[list[str]]) -> None:
    """Say where a number is missing, or is given twice, or out of turn."""
    assert [int(row[0][1:]) for row in rows] == list(range(1, len(rows) + 1))


def assert_test_is_there(cell: str) -> None:
    """Say where the test of a *cell* is not in its file. A story of the lab is one too."""
    file, _, name = cell.strip("`").partition("::")
    text = (ROOT / file).read_text()
    assert re.search(rf"^(async )?def {re.escape(name)}\(", text, re.MULTILINE)
