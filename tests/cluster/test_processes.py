"""Processes of a cluster: who is ended, and who never is."""

import dataclasses
import os
import shutil
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from testcluster import processes
from testcluster.processes import Process, StartError, check, start, stop

SLEEP = shutil.which("sleep") or "/bin/sleep"


@pytest.fixture
def sleeper(tmp_path: Path) -> Generator[Process]:
    process = start("sleeper", [SLEEP, "600"], tmp_path / "log")
    yield process
    stop([process])


def test_what_is_ended_is_gone(sleeper: Process) -> None:
    """Nothing is left of it, not even its number; ending it once more is nothing."""
    assert sleeper.is_running
    stop([sleeper])
    stop([sleeper])

    assert not sleeper.is_running
    assert not Path(f"/proc/{sleeper.pid}").exists()


def test_a_number_that_was_given_again_is_not_ended(sleeper: Process) -> None:
    """Who has the number of a process that we started, but not its start, is somebody else."""
    before = dataclasses.replace(sleeper, started=sleeper.started - 1)
    stop([before])

    assert not before.is_running
    assert sleeper.is_running


def test_what_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that takes no notice has its time, and no more."""
    monkeypatch.setattr(processes, "_PATIENCE", 0.05)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    shell = ["/bin/sh", "-c", "trap '' TERM; echo deaf >$0; exec sleep 600", fifo]
    process = start("deaf", shell, tmp_path / "log")
    assert fifo.read_text() == "deaf\n"
    stop([process])

    assert not process.is_running


def test_a_part_that_ends_by_itself_says_why(tmp_path: Path) -> None:
    """The error has the end of its log, since the log may not outlive the cluster."""
    log = tmp_path / "log"
    process = start("part", [sys.executable, "-c", "exit('no such flag')"], log)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(StartError, match=r"part ended by itself(?s:.*)no such flag"):
        check(process, log)

    stop([process])
