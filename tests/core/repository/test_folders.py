"""Whoever adds a test finds where it belongs."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
_LINE = re.compile(r"^\| `([^`]+)` \| \S.+ \|$", re.MULTILINE)


def test_every_folder_of_tests_says_what_belongs_there() -> None:
    """`tests/README.md` has one line for each, and none for a folder that is gone."""
    files = (path.relative_to(TESTS) for path in TESTS.rglob("*") if path.is_file())
    kept = (path for path in files if "__pycache__" not in path.parts)
    folders = {str(folder) for path in kept for folder in path.parents} - {"."}
    lines = _LINE.findall((TESTS / "README.md").read_text())

    assert sorted(folders - set(lines)) == []
    assert sorted(set(lines) - folders) == []
    assert len(lines) == len(set(lines))
