"""How a process begins and ends: SIGTERM and SIGINT unwind it, a bug ends it."""

import asyncio
import contextlib
import ctypes
import gc
import resource
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from rolecall_common import file_pages
from rolecall_common.callbacks import Bugs
from rolecall_common.exit_code import Exit

# Allocations between two looks of the collector. Python's own 700 is for scripts; a burst of pods
# makes tens of thousands of objects, nearly none of them in a cycle.
_YOUNG = 10_000


class StartError(Exception):
    """The process cannot start as it was told to; the text says why, a line for each problem."""


@contextlib.contextmanager
def refusing(setting: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn *errors* into a StartError that names *setting*; "" where they name theirs alone."""
    try:
        yield
    except errors as error:
        reason = str(error)
        if isinstance(error, OSError) and error.strerror:
            reason = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        raise StartError(f"{setting}: {reason}" if setting else reason) from error


def run(
    main: Coroutine[Any, Any, None],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    bugs: Bugs | None = None,
) -> Exit:
    """Run *main* until it ends or a signal says so, unwinding every `async with` on the way.

    A bug in a callback ends it too: it is logged, and FAILED is returned. Raises whatever else
    *main* raises but the cancellation by a signal: a bug leaves with its traceback. *bugs* is for a
    *main* that has to know of them itself.
    """
    bugs = bugs or Bugs()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_until_signalled(main, bugs))
    # Asked last: some are only heard of as the loop is closed.
    return Exit.OK if bugs.first is None else Exit.FAILED


async def _until_signalled(main: Coroutine[Any, Any, None], bugs: Bugs) -> None:
    task, told = asyncio.current_task(), False
    assert task is not None  # noqa: S101 - a coroutine that runs is some task's

    def end() -> None:
        nonlocal told
        told = True
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    bugs.end_by(task.cancel)
    _leave_no_core()
    _settle()
    try:
        await main
    except asyncio.CancelledError:
        # Without a signal nobody has asked for it, so that it is a bug like any other.
        if not told and bugs.first is None:
            raise
    except BaseExceptionGroup as group:
        rest = bugs.beside_first(group)
        if rest is not None:
            raise rest from None


def _leave_no_core() -> None:
    # A core file is memory, and memory is full of credentials. (A handler that the kernel pipes
    # cores to is not bound by this limit: whoever sets one up decides what becomes of them.)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _settle() -> None:
    """Tidy up after the imports, which is when a process has allocated most of what it ever will.

    What was imported stays, so the collector need not walk it again and again; what importing has
    left behind in the heap goes back to the kernel: 3.5 of the agent's 53 MiB, measured.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, other libraries do not.
    if trim is not None:
        trim(0)
    # And what was run once: 16 of the agent's 42 MiB, of which it soon runs 9 again.
    file_pages.give_back()
