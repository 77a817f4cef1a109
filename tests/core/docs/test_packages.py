"""The picture of the packages."""

import runpy
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
DRAW = runpy.run_path(str(ROOT / "docs" / "packages.py"))["draw"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_picture_is_drawn_from_the_contracts() -> None:
    """Run `python docs/packages.py` when this fails, and commit the result."""
    assert (ROOT / "docs" / "packages.svg").read_text(encoding="utf-8") == DRAW(PROJECT)


def test_every_package_of_either_side_has_its_box() -> None:
    """Below its side's name: whatever a contract says more, nobody has to look for it."""
    picture = DRAW(PROJECT)

    for side in ("agent", "server"):
        folders = [each.parent for each in (ROOT / side / f"rolecall_{side}").glob("*/__init__.py")]
        assert len(folders) >= 6
        assert [each for each in folders if f">{each.name}/</text>" not in picture] == []
