"""Draw docs/packages.svg from the import contracts of pyproject.toml.

Run `python docs/packages.py` after a change of a contract and commit both; a test says when it was
forgotten.
"""

import re
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

_FOLDER = Path(__file__).parent
PROJECT, PICTURE = _FOLDER.parent / "pyproject.toml", _FOLDER / "packages.svg"
_WIDTH, _MARGIN, _GAP, _PAD = 960, 16, 8, 12
# What a character of a caption takes, at the size that it is written in: a little too much.
_CHARACTER, _LINE, _NAME, _HEAD = 6.3, 13, 22, 30
_CAPTION, _INK, _PALE = 'font-size="11" fill="#4a5663"', "#1d2733", "#8a96a3"
# What each of them is for.
_PURPOSES = {
    "rolecall_cli": "the command rolecall, and the demo",
    "rolecall_proto": "what crosses the wire: the contract, its values, and the codec",
    "rolecall_common": "the kit that all of them are built with: settings, log, clock, probes",
    "rolecall_agent": "the agent, one for each node",
    "rolecall_server": "the server, two replicas or more",
    "rolecall_warden": "the warden, beside each agent: keeps the node's packet rules",
}
# Whose layers are shown.
_FILLS = {
    "rolecall_agent": ("#eaf6ec", "#3c8a4c"),
    "rolecall_server": ("#e3eefb", "#2f6db3"),
    "rolecall_warden": ("#fdf1dc", "#b0792b"),
}
_PLAIN = ("#f3f5f7", _PALE)
# Where each part has a box; and how wide those are beside it where each layer has one.
_OPENED, _CLOSED = frozenset({"rolecall_agent", "rolecall_server"}), 1.4
Rows = list[list[str]]


@dataclass(frozen=True, slots=True)
class Contracts:
    """The layers of each package, and what its contract says it is."""

    layers: dict[str, Rows]
    names: dict[str, str]

    @classmethod
    def read(cls, project: dict[str, Any]) -> "Contracts":
        layers: dict[str, Rows] = {}
        names: dict[str, str] = {}
        for contract in project["tool"]["importlinter"]["contracts"]:
            if contract["type"] == "layers":
                (package,) = contract.get("containers", [""])
                rows = [re.split(r"\s*[|:]\s*", row) for row in contract["layers"]]
                layers[package], names[package] = rows, contract["name"]
        return cls(layers, names)

    def caption(self, package: str) -> str:
        """Say what is in *package*, and which of its folders have a contract of their own."""
        below = sorted(each for each in self.layers if each.rpartition(".")[0] == package)
        folders = ", ".join(f"{each.rpartition('.')[2]}/" for each in below)
        said = self.names.get(package, "").partition(":")[0]
        return f"{said} ({folders})" if folders else said


@dataclass(frozen=True, slots=True)
class Box:
    """A name, and a caption that is broken to the box's width."""

    x: float
    width: float
    name: str
    caption: tuple[str, ...]

    @property
    def height(self) -> int:
        return (_NAME if self.name else 4) + _LINE * len(self.caption) + 6

    def draw(self, y: int, height: int, edge: str) -> Iterator[str]:
        yield (
            f'<rect x="{self.x:.1f}" y="{y}" width="{self.width:.1f}" height="{height}" rx="5" '
            f'fill="#fff" stroke="{edge}"/>'
        )
        middle, at = self.x + self.width / 2, y + 3 + (height - self.height) // 2
        if self.name:
            at += 14
            name = escape(self.name)
            yield f'<text x="{middle:.1f}" y="{at}" font-weight="bold">{name}</text>'
        for line in self.caption:
            at += _LINE
            yield f'<text x="{middle:.1f}" y="{at}" {_CAPTION}>{escape(line)}</text>'


def draw(project: dict[str, Any]) -> str:
    """Return the picture: the top-level packages as bands, in each the layers of its contract."""
    contracts = Contracts.read(project)
    parts: list[str] = []
    top = _MARGIN
    for row in contracts.layers[""]:
        shown, top = _band(contracts, row, top)
        parts += shown
        top += _GAP
    words = "Each box may import from the boxes below it: none beside it, and none above it."
    parts.append(f'<text x="{_WIDTH / 2}" y="{top + 14}" {_CAPTION}>{words}</text>')
    height = top + 28
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="DejaVu Sans, Verdana, sans-serif" font-size="13" text-anchor="middle" '
        f'fill="{_INK}" role="img" aria-labelledby="title">'
    )
    title = '<title id="title">The packages of Rolecall, and which may import which</title>'
    ground = f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>'
    return "\n".join([head, title, ground, *parts, "</svg>"]) + "\n"


def _band(contracts: Contracts, packages: list[str], top: int) -> tuple[list[str], int]:
    """Draw *packages* side by side; return where the next band may begin, too."""
    # Each is as wide as its fullest layer asks for.
    weights = {
        each: max(map(len, contracts.layers[each])) if each in _OPENED else _CLOSED
        for each in packages
    }
    unit = (_WIDTH - 2 * _MARGIN - _GAP * (len(packages) - 1)) / sum(weights.values())
    x, inside, bottom = float(_MARGIN), [], top
    for package in packages:
        width = unit * weights[package]
        shown, end = _package(contracts, package, (x, width, top))
        inside.append((x, width, package, shown))
        bottom, x = max(bottom, end), x + width + _GAP
    drawn: list[str] = []
    for left, width, package, shown in inside:
        fill, edge = _FILLS.get(package, _PLAIN)
        drawn.append(
            f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{bottom - top}" rx="8" '
            f'fill="{fill}" stroke="{edge}" stroke-width="1.5"/>'
        )
        drawn += shown
    return drawn, bottom


def _package(
    contracts: Contracts, package: str, place: tuple[float, float, int]
) -> tuple[list[str], int]:
    x, width, top = place
    head = Box(x, width, package, _wrapped(_PURPOSES[package], width))
    middle = x + width / 2
    drawn = [f'<text x="{middle:.1f}" y="{top + 20}" font-weight="bold">{package}</text>']
    drawn += [
        f'<text x="{middle:.1f}" y="{top + 20 + _LINE * (number + 1)}" {_CAPTION}>{line}</text>'
        for number, line in enumerate(head.caption)
    ]
    y = top + _HEAD + _LINE * len(head.caption)
    edge = _FILLS.get(package, _PLAIN)[1]
    for row in contracts.layers[package] if package in _FILLS else []:
        boxes = list(_boxes(contracts, package, row, (x + _PAD, width - 2 * _PAD)))
        height = max(box.height for box in boxes)
        for box in boxes:
            drawn += box.draw(y, height, edge)
        y += height + _GAP
    return drawn, y


def _boxes(
    contracts: Contracts, package: str, row: list[str], place: tuple[float, float]
) -> Iterator[Box]:
    x, width = place
    if package not in _OPENED:
        yield Box(x, width, "", _wrapped(", ".join(row), width))
        return
    each = (width - _GAP * (len(row) - 1)) / len(row)
    for number, name in enumerate(row):
        whole = f"{package}.{name}"
        shown = f"{name}/" if whole in contracts.layers else f"{name}.py"
        caption = _wrapped(contracts.caption(whole), each)
        yield Box(x + number * (each + _GAP), each, shown, caption)


def _wrapped(text: str, width: float) -> tuple[str, ...]:
    return tuple(textwrap.wrap(text, int((width - 8) / _CHARACTER)))


def main() -> int:
    PICTURE.write_text(draw(tomllib.loads(PROJECT.read_text())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
