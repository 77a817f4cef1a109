"""Draw docs/real-nodes.svg from what pods saw on real nodes (docs/real-nodes.json).

The data is measured: with ROLECALL_RECORD=1 tests/cluster/test_real_nodes_faults.py writes it.
Run `python docs/timeline.py` afterwards and commit both; a test says when it was forgotten.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

_FOLDER = Path(__file__).parent
DATA, PICTURE = _FOLDER / "real-nodes.json", _FOLDER / "real-nodes.svg"
_WIDTH, _LEFT, _RIGHT = 860, 110, 20
_ROW, _GAP, _TITLE = 15, 3, 22
# A column is so many seconds, and shows the worst of what was seen in it.
_SLICE = 0.25
# From the best to the worst: what a pod met, its colour, and what that means.
_OUTCOMES = {
    "given": ("#7fc8a0", "given its credentials within 0.1 s"),
    "slow": ("#2f8f5b", "given after a wait of at most 1 s"),
    "503": ("#f2c14e", "told to come again (503)"),
    "timeout": ("#e07b39", "no answer in 1 s"),
    "refused": ("#c8334a", "refused or cut off"),
    "other": ("#5b2a86", "any other answer"),
}
_SLOW = 0.1
# The patience of the least patient SDK.
_LATE = 1.0
_TICKS = 12


def draw(record: dict[str, Any]) -> str:
    """Return the picture: a block for each phase, in it a row for each pod."""
    blocks: list[str] = []
    top = 10
    for phase in record["phases"]:
        blocks += _block(phase, record["pods"], top)
        top += _TITLE + len(record["pods"]) * (_ROW + _GAP) + 24
    blocks += _legend(top)
    height = top + 20 + 20 * len(_OUTCOMES)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" font-size="12" fill="#222">'
    )
    ground = f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>'
    return "\n".join([head, ground, *blocks, "</svg>"]) + "\n"


def _block(phase: dict[str, Any], pods: dict[str, str], top: int) -> Iterator[str]:
    seconds = phase["seconds"]
    scale = (_WIDTH - _LEFT - _RIGHT) / seconds
    yield f'<text x="0" y="{top + 12}" font-weight="bold">{escape(phase["label"])}</text>'
    bottom = top + _TITLE + len(pods) * (_ROW + _GAP)
    for index, pod in enumerate(pods):
        y = top + _TITLE + index * (_ROW + _GAP)
        yield f'<text x="0" y="{y + 12}">pod {escape(pod)}</text>'
        for begin, end, outcome in _runs(phase["pods"][pod], seconds):
            x, width = _LEFT + begin * scale, (end - begin) * scale
            colour = _OUTCOMES[outcome][0]
            yield f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_ROW}" fill="{colour}"/>'
    step = next(each for each in (1, 2, 5, 10, 20, 60) if seconds / each <= _TICKS)
    for second in range(0, int(seconds) + 1, step):
        x = _LEFT + second * scale
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}" stroke="#888"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" fill="#666" font-size="10">{second} s</text>'


def _runs(seen: list[list[Any]], seconds: float) -> Iterator[tuple[float, float, str]]:
    """Give stretches of one outcome; where nothing was seen, since no container ran, is none."""
    worst: dict[int, str] = {}
    order = list(_OUTCOMES)
    for at, took, what in seen:
        outcome = _outcome(what, took)
        for column in range(int(at / _SLICE), int((at + took) / _SLICE) + 1):
            worst[column] = max(worst.get(column, "given"), outcome, key=order.index)
    columns = sorted(worst)
    while columns:
        begin = end = columns.pop(0)
        while columns and columns[0] == end + 1 and worst[columns[0]] == worst[begin]:
            end = columns.pop(0)
        yield begin * _SLICE, min((end + 1) * _SLICE, seconds), worst[begin]


def _outcome(what: str, took: float) -> str:
    if what == "given":
        return "timeout" if took > _LATE else "slow" if took > _SLOW else "given"
    if what in ("refused", "broken"):
        return "refused"
    return what if what in _OUTCOMES else "other"


def _legend(top: int) -> Iterator[str]:
    for index, (colour, meaning) in enumerate(_OUTCOMES.values()):
        y = top + 10 + index * 20
        yield f'<rect x="{_LEFT}" y="{y}" width="24" height="12" fill="{colour}"/>'
        yield f'<text x="{_LEFT + 32}" y="{y + 11}">{escape(meaning)}</text>'


def main() -> int:
    PICTURE.write_text(draw(json.loads(DATA.read_text())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
