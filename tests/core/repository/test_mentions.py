"""The repository keeps its own promises: links lead somewhere, locks hold what is asked for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "tests/README.md"]
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
# A module as comments and docstrings name it: its file in backticks, perhaps with a folder.
_MODULE = re.compile(r"`([\w/]+\.py)`")
_WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
PACKAGES = [*(ROOT / package for package in _WHEEL["packages"]), ROOT / "tests"]
_PIN = re.compile(r"^([a-z0-9-]+)==(\S+)( ; .+)? \\$", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return {name: version for name, version, _ in _PIN.findall(text)}


def asked_for(extras: tuple[str, ...], groups: tuple[str, ...]) -> list[Requirement]:
    project = PROJECT["project"]
    wanted = [*PROJECT["build-system"]["requires"], *project["dependencies"]]
    for extra in ("agent", "server", *extras):
        wanted += project["optional-dependencies"][extra]
    for group in groups:
        wanted += PROJECT["dependency-groups"][group]
    parsed = [Requirement(text) for text in wanted]
    return [one for one in parsed if one.name != "rolecall"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Every relative link of the documentation names a file or directory that is there."""
    targets = [link for link in _LINK.findall(page.read_text()) if "://" not in link]

    assert [link for link in targets if not (page.parent / link).exists()] == []


def test_modules_that_are_named_are_there() -> None:
    """Beside what names them, or at the root of its package: a rename takes its mentions along."""
    lost = [
        f"{path.relative_to(ROOT)}: {name}"
        for package in PACKAGES
        for path in sorted(package.rglob("*.py"))
        for name in _MODULE.findall(path.read_text())
        if not (path.parent / name).exists() and not (package / name).exists()
    ]

    assert lost == []


@pytest.mark.parametrize(
    ("lock", "extras", "groups"),
    [("test", ("demo", "test"), ("proto", "lint")), ("demo", ("demo",), ())],
)
def test_locks_hold_what_the_project_asks_for(
    lock: str, extras: tuple[str, ...], groups: tuple[str, ...]
) -> None:
    """Run scripts/lock after an edit of the dependencies, and commit the result."""
    pinned = pins(lock)
    missing = [
        str(wanted)
        for wanted in asked_for(extras, groups)
        if not wanted.specifier.contains(pinned.get(wanted.name.lower(), "0"), prereleases=True)
    ]

    assert missing == []


def test_the_demo_runs_on_the_versions_that_are_tested() -> None:
    """The demo's lock is a part of the tests' lock."""
    assert pins("demo").items() <= pins("test").items()


@pytest.mark.parametrize("lock", ["test", "demo", "aws-cli"])
def test_every_pin_has_a_hash_and_no_address(lock: str) -> None:
    """A lock names what to install; where from is the matter of whoever installs."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    blocks = re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]

    assert len(blocks) >= 10
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text


@pytest.mark.parametrize("script", ["demo", "test", "check", "bench", "cluster", "lock"])
def test_scripts_can_be_run_as_they_are(script: str) -> None:
    """Nobody has to type `bash` in front of them."""
    mode = (ROOT / "scripts" / script).stat().st_mode

    assert mode & 0o111 == 0o111
