"""The agent's supervisor as a process, with workers that are a few lines each."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fakes.full_pipe import full_pipe
from fakes.running import PATIENCE, Running, python
from rolecall_agent.process import supervisor
from rolecall_agent.process.inherited import Inherited

# What each worker does first: say who it is and what it inherited.
HELLO = """
import os, signal, socket, sys, time
words = dict(word.split("=") for word in os.environ["ROLECALL_INHERITED"].split())
causes = "killed", "failed", "unusable", "memory"
words["restarts"] = str(sum(int(words[cause]) for cause in causes))
def say(*what):
    print(*what, flush=True)
def report_begun():
    os.write(int(words["tell"]), b"b")
def report_synced():
    os.write(int(words["tell"]), b"s")
"""
UP = "say('up', os.getpid(), words['restarts'], words['last_exit'])\n"
PATIENT = UP + "signal.pause()\n"
FAILING = "say('failed', words['restarts'])\nsys.exit(1)\n"

# The program itself, and one whose first pause is longer than any test.
OWN = (supervisor.__file__,)
SLOW = (
    "-c",
    f"""
import sys
sys.path.insert(0, {str(Path(supervisor.__file__).parent)!r})
import supervisor
supervisor.FIRST_PAUSE = supervisor.LONGEST_PAUSE = 600.0
sys.exit(supervisor.main())
""",
)

# One that finds no process to be had, twice, when its first worker has ended.
SCARCE = (
    "-c",
    f"""
import os, sys
sys.path.insert(0, {str(Path(supervisor.__file__).parent)!r})
import supervisor
spawn, turns = os.posix_spawn, iter([True, False, False])
def spawn_in_turn(*words, **more):
    if next(turns, True):
        return spawn(*words, **more)
    raise BlockingIOError(11, "no process to be had")
os.posix_spawn = spawn_in_turn
sys.exit(supervisor.main())
""",
)

PROGRAM = """
import os, socket
from rolecall_agent.process import inherited
given = inherited.take(os.environ)
if given is None:
    endpoint = socket.create_server(("127.0.0.1", 0))
    print("at", endpoint.getsockname()[1], flush=True)
    inherited.become_supervisor({"metadata": [endpoint]})
assert "ROLECALL_INHERITED" not in os.environ
given.report_synced()
print("up", given.restarts, flush=True)
while True:
    client, _ = given.sockets["metadata"][0].accept()
    client.sendall(f"worker {given.restarts}".encode())
    client.close()
"""


def obedient(number: signal.Signals, then: str, before: str = UP) -> str:
    """Give a worker that does *before*, waits for a signal, and does *then*.

    The signal is blocked and waited for: a handler's turn could come just before a pause, which
    nothing would end then.
    """
    block = f"signal.pthread_sigmask(signal.SIG_BLOCK, [{number}])\n"
    return f"{block}{before}signal.sigwait([{number}])\n{then}\n"


@asynccontextmanager
async def family(
    worker: str, *around: str, program: tuple[str, ...] = OWN, err: int = asyncio.subprocess.PIPE
) -> AsyncGenerator[Running]:
    """Run the supervisor of workers that do what *worker* says; *around* is a command before it."""
    own = (sys.executable, "-I", "-S", "-c", HELLO + worker)
    words = ("-I", "-S", *program, "metadata=", *own)
    run = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
    command = ("-c", run, *around, sys.executable, *words)
    async with python("parent", *command, environment={}, err=err) as it:
        yield it


async def test_a_worker_that_dies_has_a_successor_at_once() -> None:
    """It is told how many there were before it, and how the last one ended."""
    async with family("report_synced()\n" + PATIENT) as running:
        await running.wait_line("up", "0 0")
        for restarts in range(1, 6):
            began = time.monotonic()
            os.kill(running.worker, signal.SIGKILL)
            await running.wait_line("up", f" {restarts} -9")
            assert time.monotonic() - began < 20.0  # Some hundredths; no pause grows among them.
        assert await running.stop() == 0


@pytest.fixture
def program(tmp_path: Path) -> str:
    """Give a program as the agent is one: it becomes the supervisor, and is then its own worker."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    return str(script)


async def test_connections_wait_for_the_next_worker(program: str) -> None:
    """While no worker lives nobody is refused, and whoever came meanwhile is answered."""
    async with python("parent", program, environment={}) as running:
        port = int((await running.wait_line("at")).split()[1])
        for restarts in range(5):
            await running.wait_line(f"up {restarts}")
            worker = running.worker
            await stand_still(worker)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            os.kill(worker, signal.SIGKILL)
            assert await reader.read() == f"worker {restarts + 1}".encode()
            writer.close()
        assert await running.stop() == 0


async def stand_still(process: int) -> None:
    """Stop a process, and return once it really does nothing any more."""
    os.kill(process, signal.SIGSTOP)
    await state(process, "T")


async def state(process: int, letter: str) -> None:
    """Return once the kernel says that a process is in the state of that *letter*."""
    await come_true(lambda: f"State:\t{letter}" in Path(f"/proc/{process}/status").read_text())


async def come_true(condition: Callable[[], bool]) -> None:
    """Return once it is true of others, whose doings are no event of ours."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 -- there is no event
            await asyncio.sleep(0.001)


async def test_no_worker_outlives_its_parent(program: str) -> None:
    """A supervisor that is killed takes its worker with it, and the address is free again."""
    async with python("parent", program, environment={}) as running:
        port = int((await running.wait_line("at")).split()[1])
        await running.wait_line("up")
        # All that held a pipe of ours has ended when this returns.
        assert await running.stop(signal.SIGKILL) == -signal.SIGKILL
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_what_cannot_be_used_ends_the_parent_too() -> None:
    """Where no worker could begin, exit code 2 is not tried again."""
    async with family("say('up')\nsys.exit(2)\n") as running:
        assert await running.ended() == 2
        assert running.out == ["up"]


async def test_what_cannot_be_used_any_more_is_tried_again() -> None:
    """Once a worker has begun, exit code 2 is a crash like any other: the endpoints stay open."""
    worker = """
if words["restarts"] == "0":
    report_begun()
    sys.exit(1)
if words["restarts"] != "4":
    sys.exit(2)
say("up", words["has_begun"], words["failed"], words["unusable"], words["last_exit"])
signal.pause()
"""
    async with family(worker) as running:
        assert await running.wait_line("up") == "up 1 1 3 2"
        assert await running.stop() == 0


async def test_a_worker_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    """Even where nobody reads the complaint: a pipe without a reader ends many a program."""
    reader, complaints = os.pipe()
    os.close(reader)
    worker, up = tmp_path / "worker", tmp_path / "up"
    words = ("-I", "-S", *OWN, "metadata=", str(worker))
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stderr=complaints)
    os.close(complaints)
    os.mkfifo(up)
    draft = tmp_path / "draft"
    draft.write_text(f"#!/bin/sh\necho up > {up}\nexec sleep 600\n")
    draft.chmod(0o755)
    draft.rename(worker)
    told = await asyncio.to_thread(up.read_text)
    process.terminate()

    assert told == "up\n"
    assert await process.wait() == 0


async def test_a_worker_is_started_again_though_nobody_reads_the_complaints() -> None:
    """A supervisor that waited for who reads them would leave the endpoints without a worker."""
    with full_pipe() as pipe:
        async with family(PATIENT, program=SCARCE, err=pipe.writer) as running:
            await running.wait_line("up", "0 0")
            os.kill(running.worker, signal.SIGKILL)
            await running.wait_line("up", "3 1")  # Two starts that failed are among them.
            assert await running.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_is_the_workers(number: signal.Signals) -> None:
    """It is passed on, and the supervisor ends when, and as, the worker does."""
    async with family(obedient(number, "say('told'); sys.exit(5)")) as running:
        await running.wait_line("up")
        assert await running.stop(number) == 5
        assert running.out[-1] == "told"


async def test_a_stop_may_come_before_the_worker_can_handle_it() -> None:
    """Then the signal itself has ended it, as it was told to."""
    async with family(PATIENT) as running:
        await running.wait_line("up")
        assert await running.stop(signal.SIGTERM) == 0


async def test_a_worker_that_ends_otherwise_when_it_is_told_to_stop_is_not_hidden() -> None:
    """As a shell says it: 128 and the signal's number."""
    async with family(obedient(signal.SIGTERM, "os.kill(os.getpid(), 9)")) as running:
        await running.wait_line("up")
        assert await running.stop(signal.SIGTERM) == 137


async def test_starts_that_come_to_nothing_are_parted_by_pauses() -> None:
    """The first failure costs none; then they grow."""
    async with family(FAILING) as running:
        began = time.monotonic()
        await running.wait_line("failed 4")
        took = time.monotonic() - began
        await running.stop()

    assert took > 0.1 + 0.2 + 0.4


async def test_a_stop_is_heard_in_a_pause() -> None:
    """Nobody is there to be told: it ends at once, and well."""
    async with family(FAILING, program=SLOW) as running:
        await running.wait_line("failed 1")
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
        await come_true(lambda: not children.read_text())
        code = await running.stop()

    assert code == 0


async def test_a_stop_that_finds_the_worker_dead_is_heard_as_in_a_pause() -> None:
    """However the worker ended: that was before it could be told."""
    async with family("report_synced()\n" + PATIENT) as running:
        await running.wait_line("up")
        code = await stopped_once_dead(running, signal.SIGKILL)

    assert code == 0
    assert len(running.out) == 1  # Nobody came after it.


async def test_another_stop_does_not_hide_how_the_worker_took_the_first() -> None:
    """It had been told by then, and what came of it counts."""
    block = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
    then = "say('told'); signal.sigwait([signal.SIGUSR1]); sys.exit(5)"
    async with family(obedient(signal.SIGTERM, then, block + UP)) as running:
        await running.wait_line("up")
        running.process.send_signal(signal.SIGTERM)
        await running.wait_line("told")

        assert await stopped_once_dead(running, signal.SIGUSR1) == 5


async def stopped_once_dead(running: Running, number: signal.Signals) -> int:
    """End the worker by a signal, and tell its supervisor to stop before that can know."""
    worker, supervising = running.worker, running.process.pid
    await stand_still(supervising)
    os.kill(worker, number)
    await state(worker, "Z")
    os.kill(supervising, signal.SIGTERM)
    os.kill(supervising, signal.SIGCONT)
    return await running.ended()


async def test_a_worker_that_was_synced_ends_the_pauses() -> None:
    """Whatever it dies of afterwards: others are served in between."""
    async with family(
        "report_synced()\nsay('served', words['restarts'])\nsys.exit(1)\n"
    ) as running:
        began = time.monotonic()
        await running.wait_line("served 10")
        took = time.monotonic() - began
        await running.stop()

    assert (
        took < supervisor.FIRST_PAUSE * 2**7
    )  # What ten pauses would come to, less a few of them.


async def test_synced_is_said_of_the_worker_that_said_it() -> None:
    """However often it did: those after it that come to nothing are parted by pauses."""
    worker = """
if words["restarts"] == "0":
    for _ in range(1000):
        report_synced()
say("ended", words["restarts"])
sys.exit(1)
"""
    async with family(worker) as running:
        began = time.monotonic()
        await running.wait_line("ended 5")
        took = time.monotonic() - began
        await running.stop()

    assert took > 0.1 + 0.2 + 0.4


def test_a_worker_reports_itself_synced_once() -> None:
    """At its first snapshot; a pipe that nobody reads meanwhile is full one day."""
    out, synced = os.pipe()
    os.set_blocking(out, False)
    worker = Inherited({}, _tell=synced)
    for _ in range(3):
        worker.report_synced()
    with os.fdopen(out, "rb") as stream:
        told = stream.read(2), stream.read(2)

    assert told == (b"s", b"")  # Its end, for the worker has closed its side.


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare of util-linux")
async def test_it_is_a_good_first_process_of_a_container() -> None:
    """It reaps what is left to it, and is told to stop like any other."""
    orphan = """
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(0.05)
        say("orphan", os.getppid())
    os._exit(0)
os.wait()
while any("Z" in open(f"/proc/{each}/stat").read() for each in os.listdir("/proc")
          if each.isdigit()) or len([e for e in os.listdir("/proc") if e.isdigit()]) > 2:
    time.sleep(0.01)
say("alone", os.getppid())
"""
    around = (
        "unshare",
        "--user",
        "--map-root-user",
        "--pid",
        "--mount-proc",
        "--fork",
        "--kill-child",
    )
    async with family(obedient(signal.SIGTERM, "sys.exit(3)", orphan), *around) as running:
        if await _refused(running):
            pytest.skip("needs user namespaces")
        await running.wait_line("orphan 1")
        await running.wait_line("alone 1")
        os.kill(running.worker, signal.SIGTERM)
        assert await running.ended() == 3


async def _refused(running: Running) -> bool:
    try:
        await running.wait_line("orphan")
    except AssertionError:
        return any("unshare" in line for line in running.err)
    return False
