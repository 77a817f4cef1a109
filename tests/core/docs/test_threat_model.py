"""The threat model names what is there: no threat without a control, no control without a test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/threat-model.md").read_text().splitlines()
    if re.match(r"\| [ATC]\d\d? ", line)
]
ASSETS = [row for row in ROWS if row[0].startswith("A")]
THREATS = [row for row in ROWS if row[0].startswith("T")]
CONTROLS = [row for row in ROWS if row[0].startswith("C")]
NAMED = {control for row in THREATS for control in row[4].split(", ")}


def test_numbers_are_given_once_and_in_order() -> None:
    """A number that was given is never another thing's."""
    for rows in (ASSETS, THREATS, CONTROLS):
        numbers = [int(row[0][1:]) for row in rows]
        assert numbers == list(range(1, len(rows) + 1))


def test_every_threat_has_controls_and_every_control_a_threat() -> None:
    """And every threat is to an asset that is listed."""
    assert {control[0] for control in CONTROLS} == NAMED
    assets = {row[0] for row in ASSETS}
    assert all(set(row[1].split(", ")) <= assets for row in THREATS)


@pytest.mark.parametrize("row", CONTROLS, ids=lambda row: row[0])
def test_the_test_of_a_control_is_there(row: list[str]) -> None:
    """By file and by name."""
    file, _, name = row[2].strip("`").partition("::")

    text = (ROOT / file).read_text()
    assert re.search(rf"^(async )?def {re.escape(name)}\(", text, re.MULTILINE)
