"""The threat model names what is there: no threat without a control, no control without a test."""

import pytest

from core.docs.tables import assert_numbered, assert_test_is_there, rows_of

ROWS = rows_of("threat-model.md", r"[ATC]\d\d?")
ASSETS = [row for row in ROWS if row[0].startswith("A")]
THREATS = [row for row in ROWS if row[0].startswith("T")]
CONTROLS = [row for row in ROWS if row[0].startswith("C")]
NAMED = {control for row in THREATS for control in row[4].split(", ")}


def test_numbers_are_given_once_and_in_order() -> None:
    """A number that was given is never another thing's."""
    for rows in (ASSETS, THREATS, CONTROLS):
        assert_numbered(rows)


def test_every_threat_has_controls_and_every_control_a_threat() -> None:
    """And every threat is to an asset that is listed."""
    assert {control[0] for control in CONTROLS} == NAMED
    assets = {row[0] for row in ASSETS}
    assert all(set(row[1].split(", ")) <= assets for row in THREATS)


@pytest.mark.parametrize("row", CONTROLS, ids=lambda row: row[0])
def test_the_test_of_a_control_is_there(row: list[str]) -> None:
    """By file and by name."""
    assert_test_is_there(row[2])
