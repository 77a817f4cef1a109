"""All rows in one, and the page that lists them, for those who read and do not run."""

from pathlib import Path

from seams.agent.metadata.table.heads import FORMS, TOKENS
from seams.agent.metadata.table.mutations import MUTATIONS
from seams.agent.metadata.table.paths import PATHS
from seams.agent.metadata.table.pods import Row

ROWS: list[Row] = [*PATHS, *TOKENS, *FORMS, *MUTATIONS]
# Some of what is generated was written by hand before: it is sent once, and listed by that name.
TABLE: list[Row] = list({row[1:3]: row for row in reversed(ROWS)}.values())[::-1]
LISTING = Path(__file__).with_name("listing.txt")
_LONGEST = 120  # characters of what is sent; the rest repeats itself


def listing() -> str:
    """Return a line for each row: its name, the answers, the pod, and what it sends."""
    return "".join(_line(*row) for row in TABLE)


def _line(name: str, sent: bytes, source: str, statuses: tuple[int, ...]) -> str:
    answers = " ".join(map(str, statuses[:3])) + (" …" if len(statuses) > 3 else "")
    text = repr(sent)[2:-1]
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return f"{answers or 'closed'}\t{source}\t{name}\t{shown}\n"


if __name__ == "__main__":
    LISTING.write_text(listing(), encoding="utf-8")
