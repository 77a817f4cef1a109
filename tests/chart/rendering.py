"""The chart, as Helm renders it: text in, objects out."""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "charts" / "rolecall"
# What Helm takes a cluster for that it does not ask.
KUBERNETES = "1.30.0"

Object = dict[str, Any]
Values = dict[str, Any]


class ChartRefusedError(Exception):
    """Helm would not render the chart; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a release would put into a cluster."""

    text: str
    objects: tuple[Object, ...]

    def of_kind(self, kind: str) -> list[Object]:
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind: str, name: str) -> Object:
        (found,) = [each for each in self.of_kind(kind) if each["metadata"]["name"] == name]
        return found

    @property
    def server(self) -> Object:
        """The servers' pod template."""
        (deployment,) = self.of_kind("Deployment")
        template: Object = deployment["spec"]["template"]
        return template

    @property
    def agent(self) -> Object:
        """The agents' pod template."""
        (daemon_set,) = self.of_kind("DaemonSet")
        template: Object = daemon_set["spec"]["template"]
        return template


@dataclass(frozen=True, slots=True)
class Helm:
    """The program at *path*."""

    path: Path

    def render(
        self, values: Values | None = None, release: str = "rolecall", namespace: str = "rolecall"
    ) -> Rendering:
        """Return what Helm makes of the chart without a cluster. Raises ChartRefusedError.

        Unlike an operator, a test only looks at it: what is generated may be new each time.
        """
        said = self.run(
            *("template", release, str(CHART), "--namespace", namespace),
            *("--kube-version", KUBERNETES, "--values", "-"),
            given=json.dumps({"generateWithoutCluster": True, **(values or {})}),
        )
        return Rendering(said, tuple(each for each in yaml.safe_load_all(said) if each))

    def notes(self, values: Values | None = None) -> str:
        """Return what Helm says after an installation with these values."""
        with tempfile.TemporaryDirectory() as folder:
            chart = Path(shutil.copytree(CHART, Path(folder) / "rolecall"))
            text = chart / "templates" / "NOTES.txt"
            # `helm template` does not show them; as an object's field it does.
            field = 'kind: Notes\ntext: {{ include "notes" . | toJson }}\n'
            defined = f'{{{{ define "notes" }}}}{text.read_text()}{{{{ end }}}}'
            text.with_name("notes.yaml").write_text(defined + field)
            said = self.run(
                *("template", "rolecall", str(chart), "--kube-version", KUBERNETES),
                *("--values", "-", "--show-only", "templates/notes.yaml"),
                given=json.dumps({"generateWithoutCluster": True, **(values or {})}),
            )
        notes: str = yaml.safe_load(said)["text"]
        return notes

    def run(self, *arguments: str, given: str = "") -> str:
        """Run Helm without anybody's own settings, and return what it printed."""
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run(  # noqa: S603 - Helm itself
                [self.path, *arguments],
                input=given,
                env={"HOME": home},
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            raise ChartRefusedError(done.stderr)
        return done.stdout


# What differs with every rendering that does not see a cluster.
_RANDOM = (
    (re.compile(r"^(  (?:tls\.crt|tls\.key|secret)): .+$", re.MULTILINE), r"\1: RANDOM"),
    (
        re.compile(r"(?ms)^( *)-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----$"),
        r"\1RANDOM",
    ),
    (re.compile(r'^(    rolecall\.io/not-after): ".+"$', re.MULTILINE), r"\1: RANDOM"),
)


def settled(text: str) -> str:
    """Return a rendering's text with a word in place of what is random in it."""
    for pattern, word in _RANDOM:
        text = pattern.sub(word, text)
    return text
