"""The table of docs/compromised-node.md, which is made of the attempts that the tests make.

Run `PYTHONPATH=tests python -m cluster.compromised_page` after a change of an attempt, and commit
the page; a test says when it was forgotten.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from cluster.attempts import Attempt, Control
from cluster.attempts_broker import ATTEMPTS as CALLS
from cluster.attempts_cluster import EVERYTHING_ELSE, TOKENS
from cluster.attempts_pods import MIRROR_PODS, OTHERS_PODS, OWN_PODS
from cluster.stories import STORIES, Story

PAGE = Path(__file__).parents[2] / "docs/compromised-node.md"
BEGIN = "<!-- Written by tests/cluster/compromised_page.py from the attempts. Edit those. -->\n"
END = "<!-- The end of what is written. -->\n"
_TESTS = "tests/cluster"
_WRITES, _CALLS = "test_compromised_writes.py", "test_compromised_calls.py"
_SECTIONS: tuple[tuple[str, str, tuple[Attempt, ...]], ...] = (
    ("Its own pods, by the kubelet's credential", _WRITES, OWN_PODS),
    ("Other nodes' pods, by the kubelet's credential", _WRITES, OTHERS_PODS),
    ("Mirror pods, by the kubelet's credential", _WRITES, MIRROR_PODS),
    ("Tokens and certificates, by the kubelet's credential", _WRITES, TOKENS),
    ("Everything else in the API, by the kubelet's credential", _WRITES, EVERYTHING_ELSE),
    ("The server, by any token and any bytes", _CALLS, CALLS),
)


def table() -> str:
    """Return what stands between the two marks, with them."""
    text = BEGIN
    for title, test, attempts in _SECTIONS:
        text += _head(title, [f"Tests: `{_TESTS}/{test}`, one for each row."])
        text += "".join(_row(each.what, each.control, _outcome(each)) for each in attempts)
    text += _head("What takes a test of its own", [f"Tests: in `{_TESTS}`, named in each row."])
    return text + "".join(_story(each) for each in STORIES) + "\n" + END


def _head(title: str, paragraphs: Iterable[str]) -> str:
    last = "test" if title.startswith("What takes") else "outcome"
    return (
        f"\n### {title}\n\n"
        + "".join(f"{each}\n\n" for each in paragraphs)
        + f"| what is tried | what stops it | {last} |\n|---|---|---|\n"
    )


def _row(what: str, control: Control, outcome: str) -> str:
    return f"| {what} | {control.value} | {outcome} |\n"


def _story(story: Story) -> str:
    file, _, name = story.test.partition("::")
    return _row(story.what, story.control, f"`{file}`: `{name}`")


def _outcome(attempt: Attempt) -> str:
    if not attempt.said:
        return "allowed; gives nothing"
    return "refused; **without the guard it succeeds**" if attempt.gives else "refused"


def written() -> str:
    """Return the page with its table as it must be."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + table() + after


if __name__ == "__main__":
    PAGE.write_text(written())
    sys.exit(0)
