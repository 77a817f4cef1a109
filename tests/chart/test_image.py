"""The images: what goes into them is there, pinned, and no more than a side needs."""

import fnmatch
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
_PIN = re.compile(r"^([a-z0-9-]+)==(\S+).*\\$", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    return dict(_PIN.findall((ROOT / "requirements" / f"{lock}.txt").read_text()))


def copied() -> list[str]:
    """Return every path of the checkout that the Dockerfile copies."""
    lines = [shlex.split(line) for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    return [path for line in lines if "--from" not in line[1] for path in line[1:-1]]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    """The build's context has every file that the Dockerfile wants."""
    kept = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]

    for path in copied():
        assert (ROOT / path).exists()
        assert any(fnmatch.fnmatch(path, pattern) for pattern in kept), path


def test_the_wheel_finds_all_its_packages_in_the_image() -> None:
    """Every folder that the wheel is made of is copied."""
    wanted = re.findall(
        r'"(\w+)/rolecall_\w+"', (ROOT / "pyproject.toml").read_text().split("packages = [", 1)[1]
    )

    assert {*wanted, "examples", "pyproject.toml", "README.md", "LICENSE"} <= set(copied())


@pytest.mark.parametrize("lock", ["server", "agent", "build"])
def test_images_hold_the_versions_that_are_tested(lock: str) -> None:
    """Run scripts/lock after an edit of the dependencies, and commit the result."""
    assert pins(lock).items() <= pins("test").items()
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    assert all(
        "--hash=sha256:" in part for part in re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]
    )


def test_the_agents_image_has_neither_awss_nor_kubernetes_libraries() -> None:
    """What an agent does not need cannot be turned against its node."""
    unwanted = {"aiohttp", "boto3", "botocore", "kubernetes", "google-re2", "msgspec"}

    assert unwanted.isdisjoint(pins("agent"))
    assert unwanted <= pins("server").keys()
    assert pins("agent").keys() - pins("server").keys() == {"httptools", "uvloop"}


def test_the_base_image_names_its_debian() -> None:
    """Else a day comes on which the warden has another nft than the one it was tried with."""
    (base,) = re.findall(r"^ARG PYTHON=(.+)$", DOCKERFILE, flags=re.MULTILINE)

    assert re.fullmatch(r"python:3\.13-slim-bookworm", base)
    assert set(re.findall(r"^FROM (\S+) ", DOCKERFILE, flags=re.MULTILINE)) == {"${PYTHON}"}


def test_both_images_run_as_the_user_that_the_chart_names() -> None:
    """Neither ends as root."""
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    final = [
        stage for stage in stages if stage.split("\n")[0].endswith((" AS server", " AS agent"))
    ]

    assert len(final) == 2
    assert all("\nUSER 60980:60980\n" in stage for stage in final)
    assert all('\nENTRYPOINT ["rolecall"]\n' in stage for stage in final)
