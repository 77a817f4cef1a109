"""The pages that are written from the code say what the code says."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
PAGES = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_pages_are_current(name: str) -> None:
    """Run `python docs/generate.py` when this fails, and commit the result."""
    assert (DOCS / name).read_text() == PAGES[name]()
