"""How a process ends: by a signal in order, by a bug with its traceback."""

import asyncio
import signal
import sys

import pytest

PROGRAM = """
import asyncio, contextlib, resource, sys
from rolecall_common.lifecycle import run

@contextlib.asynccontextmanager
async def opened():
    print("open", *resource.getrlimit(resource.RLIMIT_CORE), flush=True)
    try:
        yield
    finally:
        await asyncio.sleep(0)
        print("closed", flush=True)

async def main():
    async with opened():
        {body}

sys.exit(run(main()))
"""
WAIT = "await asyncio.Event().wait()"


async def started(body: str) -> asyncio.subprocess.Process:
    program = PROGRAM.format(body=body)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=pipe, stderr=pipe
    )
    assert process.stdout is not None
    assert (await process.stdout.readline()).startswith(b"open")
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_unwinds_and_ends_with_0(number: signal.Signals) -> None:
    """Whatever is open is closed; nothing is printed about it."""
    process = await started(WAIT)
    process.send_signal(number)
    out, err = await process.communicate()

    assert (process.returncode, out, err) == (0, b"closed\n", b"")


async def test_a_main_that_is_done_ends_with_0() -> None:
    """Nothing to wait for."""
    process = await started("pass")

    assert (await process.communicate())[0] == b"closed\n"
    assert process.returncode == 0


async def test_a_bug_unwinds_and_ends_with_1_and_its_traceback() -> None:
    """It is not swallowed: whoever restarts the process can read why."""
    process = await started("raise LookupError('a bug')")
    out, err = await process.communicate()

    assert (process.returncode, out) == (1, b"closed\n")
    assert err.endswith(b"LookupError: a bug\n")


async def test_a_crash_leaves_no_core_file() -> None:
    """Memory is full of credentials, and a core file is memory."""
    program = PROGRAM.format(body="pass")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()

    assert out.splitlines()[0] == b"open 0 0"
