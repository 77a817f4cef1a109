"""Every value is documented, and what is written from values.yaml and the code is current."""

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import rolecall_agent.settings
import rolecall_server.settings
from chart.rendering import CHART, Helm
from rolecall_common.settings.declare import declared
from rolecall_common.version import VERSION

GENERATE: dict[str, Any] = runpy.run_path(str(CHART.parent / "generate.py"))
LEAVES = GENERATE["leaves"]()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
README = (CHART / "README.md").read_text()
TEMPLATES = "".join(path.read_text() for path in sorted(CHART.glob("templates/**/*.*")))


def test_schema_and_readme_are_current() -> None:
    """They are what `python charts/generate.py` writes."""
    for path, text in GENERATE["files"]().items():
        assert path.read_text() == text, f"run charts/generate.py for {path.name}"


def test_every_value_is_described_everywhere() -> None:
    """A value has a comment, an entry of the schema that says the same, and a row of the README."""
    for leaf in LEAVES:
        place = SCHEMA
        for name in leaf.path:
            assert place["type"] == "object", leaf.name
            assert place["additionalProperties"] is False, leaf.name
            place = place["properties"][name]
        assert leaf.comment.endswith("."), leaf.name
        assert place["description"] == leaf.comment
        assert f"| `{leaf.name}` |" in README


def test_every_value_is_used() -> None:
    """There is no value that no template reads, by its own name or as a part of its group."""
    unused = [
        leaf.name
        for leaf in LEAVES
        if f".{leaf.path[-1]}" not in TEMPLATES
        and f"toYaml .Values.{'.'.join(leaf.path[:-1])}" not in TEMPLATES
    ]

    assert unused == []


def test_the_chart_can_be_a_part_of_another(helm: Helm, tmp_path: Path) -> None:
    """The strict schema lets through what a parent chart hands down."""
    shutil.copytree(CHART, tmp_path / "charts" / "rolecall")
    parent = {"apiVersion": "v2", "name": "platform", "version": "1.0.0"}
    part = {"name": "rolecall", "version": VERSION, "condition": "rolecall.enabled"}
    (tmp_path / "Chart.yaml").write_text(json.dumps(parent | {"dependencies": [part]}))
    values = {
        "global": {"region": "eu-west-1"},
        "rolecall": {"enabled": True, "generateWithoutCluster": True},
    }
    said = helm.run(
        *("template", "platform", str(tmp_path), "--kube-version", "1.30.0", "--values", "-"),
        given=json.dumps(values),
    )

    assert "name: platform-rolecall-agent\n" in said


@pytest.mark.parametrize(
    ("side", "kind", "own"),
    [
        ("server", rolecall_server.settings.Settings, GENERATE["SERVER_OWN"]),
        ("agent", rolecall_agent.settings.Settings, GENERATE["AGENT_OWN"]),
    ],
)
def test_every_setting_is_the_operators_or_the_charts(
    side: str, kind: type[object], own: frozenset[str]
) -> None:
    """Each setting of the code can be given as a value, but for those that the chart sets."""
    names = {setting.name for setting in declared(kind)}
    offered = set(SCHEMA["properties"][side]["properties"]["settings"]["properties"])

    assert own <= names
    assert offered == names - own


def test_the_chart_has_the_version_of_the_code() -> None:
    """Chart, images and code are released together, and a quoted version stays a text."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["version"] == VERSION
    assert chart["appVersion"] == VERSION
