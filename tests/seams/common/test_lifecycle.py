"""How a process ends: by a signal in order, by a bug with its traceback."""

import asyncio
import signal
import sys
from pathlib import Path

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

async def stubborn():
    try:
        await asyncio.Event().wait()
    finally:
        print("ending", flush=True)
        await asyncio.Event().wait()

async def clumsy():
    try:
        await asyncio.Event().wait()
    finally:
        raise LookupError("while ending")

async def other():
    try:
        await asyncio.Event().wait()
    finally:
        print("other ends", flush=True)

async def breaks():
    raise LookupError("a task")

async def broken_group():
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(other())
        tasks.create_task(breaks())

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


async def test_a_second_signal_changes_nothing_about_the_end() -> None:
    """Whoever is impatient gets an early end, and still a good one."""
    process = await started("await stubborn()")
    assert process.stdout is not None
    process.send_signal(signal.SIGTERM)
    assert await process.stdout.readline() == b"ending\n"
    process.send_signal(signal.SIGTERM)
    out, err = await process.communicate()

    assert (process.returncode, out, err) == (0, b"closed\n", b"")


async def test_a_bug_while_ending_is_still_a_bug() -> None:
    """A signal does not make a failure to tidy up a good end."""
    process = await started("await clumsy()")
    process.send_signal(signal.SIGTERM)
    out, err = await process.communicate()

    assert (process.returncode, out) == (1, b"closed\n")
    assert b"LookupError: while ending" in err


async def test_a_cancellation_that_nobody_asked_for_is_a_bug() -> None:
    """Without a signal a process that ends has not done what it was started for."""
    process = await started("raise asyncio.CancelledError")
    out, err = await process.communicate()

    assert (process.returncode, out) == (1, b"closed\n")
    assert b"CancelledError" in err


async def test_a_task_that_breaks_ends_the_others_and_the_process() -> None:
    """No half of a process lives on without the other."""
    process = await started("await broken_group()")
    out, err = await process.communicate()

    assert (process.returncode, out) == (1, b"other ends\nclosed\n")
    assert b"LookupError: a task" in err


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


# A module of ours, for what counts is whose code has raised.
IN_A_CALLBACK = """import types
        code = "def bug(): raise LookupError('a bug')"
        ours = types.ModuleType("rolecall_test")
        exec(code, vars(ours))
        asyncio.get_running_loop().call_soon(ours.bug)
        """


async def test_a_bug_in_a_callback_unwinds_and_ends_with_1() -> None:
    """The loop would go on; whoever restarts the process can read why it did not."""
    process = await started(IN_A_CALLBACK + WAIT)
    out, err = await process.communicate()

    assert (process.returncode, out) == (1, b"closed\n")
    assert err.startswith(b"a bug ends the process; please report it\n")
    assert err.endswith(b"LookupError: a bug\n")
    assert err.count(b"Traceback") == 1


async def test_a_failure_after_a_bug_in_a_callback_hides_nothing() -> None:
    """The bug was said before anything was closed, and the other failure is said as well."""
    process = await started(IN_A_CALLBACK + "await clumsy()")
    out, err = await process.communicate()

    assert (process.returncode, out) == (1, b"closed\n")
    assert err.startswith(b"a bug ends the process; please report it\n")
    assert b"LookupError: a bug\n" in err
    assert err.endswith(b"LookupError: while ending\n")


async def test_a_signal_after_a_bug_does_not_make_a_good_end() -> None:
    """The process ends as it would have without."""
    process = await started(IN_A_CALLBACK + "await stubborn()")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ending\n"
    process.send_signal(signal.SIGTERM)
    out, err = await process.communicate()

    assert (process.returncode, out) == (1, b"closed\n")
    assert err.endswith(b"LookupError: a bug\n")


SIGNALLED = """
import asyncio, signal, sys
sys.path.insert(0, {path!r})
from fakes.planted import planted
from rolecall_common.lifecycle import run

async def main():
    signal.raise_signal(signal.SIGTERM)
    await asyncio.Event().wait()

with planted("rolecall_common.lifecycle:_until_signalled.<locals>.end", "LookupError('a bug')"):
    sys.exit(run(main()))
"""


async def test_a_bug_in_what_a_signal_calls_ends_the_process() -> None:
    """It was to end in order, and it ends."""
    program = SIGNALLED.format(path=str(Path(__file__).parents[2]))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()

    assert process.returncode == 1
    assert err.endswith(b"LookupError: a bug\n")


async def test_a_crash_leaves_no_core_file() -> None:
    """Memory is full of credentials, and a core file is memory."""
    program = PROGRAM.format(body="pass")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()

    assert out.splitlines()[0] == b"open 0 0"


RECORDING = """
import sys
from pathlib import Path
from datetime import UTC, datetime
from rolecall_common.audit import auditing
from rolecall_common.lifecycle import run
from rolecall_common.line_writer import Room

async def main():
    with auditing(Path("-"), lambda: datetime.now(UTC), Room(10, 10_000)) as audit:
        audit.write("denied", datetime.now(UTC))
    assert audit.lost == 1

sys.exit(run(main()))
"""


async def test_a_stdout_without_room_does_not_spoil_a_good_end() -> None:
    """Python's own stream would fail once more at exit, and turn 0 into 120."""
    with Path("/dev/full").open("wb") as full:  # noqa: ASYNC230 - it opens at once
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RECORDING, stdout=full, stderr=asyncio.subprocess.PIPE
        )
        _, err = await process.communicate()

    assert (process.returncode, err) == (0, b"audit records are lost\n")
