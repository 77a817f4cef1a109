"""The pages that are written from the code say what the code says."""

import runpy
from pathlib import Path

import pytest

from rolecall_common.metrics import Kind, Label, Metric

DOCS = Path(__file__).parents[3] / "docs"
GENERATE = runpy.run_path(str(DOCS / "generate.py"))
PAGES = GENERATE["PAGES"]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_pages_are_current(name: str) -> None:
    """Run `python docs/generate.py` when this fails, and commit the result."""
    assert (DOCS / name).read_text() == PAGES[name]()


def test_the_page_of_metrics_says_what_the_declaration_says() -> None:
    """One row each: name, kind, labels and meaning."""
    calls = (Label("result", ("ok", "denied")),)
    page = GENERATE["metrics_table"](
        "Server",
        [
            Metric("rolecall_took_seconds", Kind.HISTOGRAM, "How long.", buckets=(0.1, 1.0)),
            Metric("rolecall_calls_total", Kind.COUNTER, "Calls.", calls),
            Metric("rolecall_nodes", Kind.GAUGE, "Nodes.", (Label("version", bound="a few"),)),
        ],
    )

    assert "| `rolecall_calls_total` | counter | `result`: ok, denied | Calls. |" in page
    assert "| `rolecall_nodes` | gauge | `version`: a few | Nodes. |" in page
    assert "| `rolecall_took_seconds` | histogram | none | How long. Buckets: 0.1, 1. |" in page
