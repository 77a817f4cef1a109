"""What a kubelet's probe says of a process, by its heartbeat file."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given

from core.junk import changed, documents
from rolecall_common import heartbeat_file, probe
from rolecall_common.heartbeat_file import Condition, Heartbeat, stamp_path

STAMP = b'{"at": 100.0, "period": 10.0, "condition": "ready", "text": ""}'


def problems(path: Path, now: float = 100.0) -> tuple[str, str]:
    """Return what keeps it from being ready, and from being alive."""
    ready, alive = (probe.problem(str(path), now, wants_ready=each) for each in (True, False))
    return ready, alive


@pytest.mark.parametrize("condition", [Condition.READY, Condition.IN_PLACE])
def test_who_does_its_work_is_ready_and_alive(tmp_path: Path, condition: Condition) -> None:
    """An agent and a warden."""
    with heartbeat_file.hold(tmp_path / "health") as file:
        file.write(Heartbeat(100.0, 10.0, condition))

        assert problems(tmp_path / "health", 120.0) == ("", "")


def test_who_hangs_is_neither(tmp_path: Path) -> None:
    """It holds its lock, and its last word may have been that it was ready."""
    with heartbeat_file.hold(tmp_path / "health") as file:
        file.write(Heartbeat(100.0, 10.0, Condition.READY))

        assert problems(tmp_path / "health", 120.1) == ("it has not been heard for too long",) * 2


def test_who_is_gone_is_neither(tmp_path: Path) -> None:
    """However fresh its stamp: a worker that crashes again and again is seen in between."""
    with heartbeat_file.hold(tmp_path / "health") as file:
        file.write(Heartbeat(100.0, 10.0, Condition.READY))

    assert problems(tmp_path / "health") == ("it is gone",) * 2


def test_who_is_not_ready_is_alive_and_says_why(tmp_path: Path) -> None:
    """No restart helps where a server is to be found first."""
    with heartbeat_file.hold(tmp_path / "health") as file:
        file.write(Heartbeat(100.0, 10.0, Condition.NOT_READY, text="not synced yet"))

        assert problems(tmp_path / "health") == ("not synced yet", "")


def test_who_was_never_there_is_neither(tmp_path: Path) -> None:
    """As before its start."""
    assert problems(tmp_path / "health") == ("it has not shown itself yet",) * 2


@given(changed(STAMP) | documents(["at", "period", "condition", "text"]))
def test_any_bytes_are_an_answer(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    """Whatever stands in the file."""
    path = tmp_path_factory.getbasetemp() / "hostile"
    with heartbeat_file.hold(path):
        stamp_path(path).write_bytes(text)

        assert all(isinstance(each, str) for each in problems(path))


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "importtime", "-I", "-m", "rolecall_common.probe", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own


def test_it_is_a_program_of_few_modules(tmp_path: Path) -> None:
    """It is run every few seconds on every node: without asyncio, argparse, dataclasses."""
    path = str(tmp_path / "health")
    with heartbeat_file.hold(Path(path)) as file:
        file.write(Heartbeat(time.monotonic(), 3600.0, Condition.NOT_READY, text="not synced yet"))
        ready, alive, wrong = (run(question, path) for question in ("ready", "alive", "well"))
    imported = {line.rpartition("|")[2].strip() for line in alive.stderr.splitlines()}

    assert (ready.returncode, ready.stdout) == (1, "not synced yet\n")
    assert (alive.returncode, alive.stdout) == (0, "")
    assert wrong.returncode == 2
    assert imported.isdisjoint({"asyncio", "argparse", "dataclasses", "logging"})
