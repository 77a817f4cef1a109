"""The picture of what pods saw on real nodes."""

import json
import runpy
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def test_the_picture_is_drawn_from_the_data() -> None:
    """Run `python docs/timeline.py` after measuring again, and commit both."""
    draw = runpy.run_path(str(DOCS / "timeline.py"))["draw"]

    record = json.loads((DOCS / "real-nodes.json").read_text())
    assert (DOCS / "real-nodes.svg").read_text(encoding="utf-8") == draw(record)
