"""`rolecall demo` as a newcomer starts it, on both kinds of node, and what it leaves behind."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path

import pytest

from rolecall_cli.lab import LabError, LabNode

KINDS = {"lab": [], "loopback": ["--no-lab"]}


async def start(root: Path, *options: str) -> Process:
    """Start the demo with *root* for its temporary files."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rolecall_cli", "demo", *options),
        stdout=PIPE,
        stderr=STDOUT,
        # A proxy that the user has, and that answers nobody: all of the demo is on this machine.
        env={**os.environ, "TMPDIR": str(root), "http_proxy": "http://127.0.0.1:9", "no_proxy": ""},
    )


def left_behind(root: Path) -> list[str]:
    """Return files below *root*, and processes that name it in their command or environment."""
    found = [str(path) for path in root.iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        for what in ("cmdline", "environ"):
            try:
                said = (process / what).read_bytes()
            except OSError:
                continue  # It has just ended, or is somebody else's.
            if str(root).encode() in said:
                found.append(said.replace(b"\0", b" ").decode(errors="replace"))
    return found


async def needs(kind: str) -> None:
    """Skip the test where this machine allows no lab and it is about the lab."""
    if kind == "lab":
        try:
            async with LabNode.opened():
                pass
        except LabError as error:
            pytest.skip(f"no network namespaces here: {error}")


@pytest.mark.parametrize("kind", KINDS)
async def test_it_shows_everything_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    """Exit 0, each act told, no file and no process afterwards."""
    await needs(kind)
    demo = await start(tmp_path, *KINDS[kind])
    async with asyncio.timeout(50):
        said, _ = await demo.communicate()
    text = said.decode()

    assert demo.returncode == 0, text
    assert "orders-reader/shop.orders in 111122223333" in text
    assert "exports/analytics.reports in 444455556666" in text
    assert "nothing: namespace_forbids" in text
    assert "nothing: names no role" in text
    assert "its address gets nothing any more" in text
    assert "with no call of AssumeRole for them" in text
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_it_can_be_ended_at_any_time(kind: str, how: signal.Signals, tmp_path: Path) -> None:
    """Ended while everything runs, whichever way, no process outlives it."""
    await needs(kind)
    demo = await start(tmp_path, *KINDS[kind], "--keep")
    assert demo.stdout is not None
    async with asyncio.timeout(50):
        async for line in demo.stdout:
            if b"pods are up" in line:
                break
        demo.send_signal(how)
        await demo.communicate()

    if how == signal.SIGKILL:
        # Nobody can tidy up after that; the processes end all the same.
        left = await _until_quiet(tmp_path)
        assert [each for each in left if not each.startswith(str(tmp_path))] == []
    else:
        assert demo.returncode == 0
        assert left_behind(tmp_path) == []


async def _until_quiet(root: Path) -> list[str]:
    async with asyncio.timeout(60):
        while len(left := left_behind(root)) > 1:  # noqa: ASYNC110 -- others have no event
            await asyncio.sleep(0.02)
    return left


async def test_a_failure_is_one_line_with_the_place_of_the_logs(tmp_path: Path) -> None:
    """Where something does not start, exit 1, and what to look at."""
    broken = tmp_path / "broken"
    (broken / "moto").mkdir(parents=True)
    (broken / "moto" / "__init__.py").write_text("raise RuntimeError('moto is broken')")
    (tmp_path / "tmp").mkdir()
    paths = os.pathsep.join([str(broken), os.environ.get("PYTHONPATH", "")])
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rolecall_cli", "demo", "--no-lab"),
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": paths},
    )
    async with asyncio.timeout(50):
        _, said = await demo.communicate()

    (logs,) = (tmp_path / "tmp").iterdir()
    assert demo.returncode == 1
    assert said.decode().splitlines() == [
        f"rolecall demo: the sts ended with 1: RuntimeError: moto is broken; the logs are in {logs}"
    ]
