"""What the documentation tells operators to write is what the chart takes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import CHART, Helm

PAGES = (Path(__file__).parents[2] / "docs" / "install.md", CHART / "README.md")
SIDES = {"server", "agent", "warden"}
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VALUES_FILE = re.compile(r"^cat > values\.yaml <<'END'\n(.*?)^END$", re.MULTILINE | re.DOTALL)
_SET = re.compile(r"--set ([\w.]+)=(\w+)")


def written() -> list[dict[str, Any]]:
    """Return every set of values that a page shows, a file's and a flag's."""
    text = "\n".join(page.read_text() for page in PAGES)
    blocks = [yaml.safe_load(each) for each in _BLOCK.findall(text) + _VALUES_FILE.findall(text)]
    flags = []
    for name, value in dict.fromkeys(_SET.findall(text)):
        given: Any = yaml.safe_load(value)
        for part in reversed(name.split(".")):
            given = {part: given}
        flags.append(given)
    return [each for each in blocks if each.keys() <= SIDES] + flags


@pytest.mark.parametrize("values", written(), ids=str)
def test_the_values_of_the_documentation_are_accepted(helm: Helm, values: dict[str, Any]) -> None:
    """Every name and every word of them; a misspelling would be refused."""
    assert helm.render(values).objects


def test_the_documentation_shows_values() -> None:
    """So that the test above is of something: the two programs', the warden's, and flags."""
    shown = written()

    assert {side for each in shown for side in each if side in SIDES} == SIDES
    assert {"warden": {"uninstall": True}} in shown
