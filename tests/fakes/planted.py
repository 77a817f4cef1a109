"""A bug that is planted into one function of ours, wherever it is defined."""

import asyncio
import contextlib
import importlib
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from types import CodeType

from rolecall_common.callbacks import Bugs

LIMIT = 30.0  # seconds; a run that has not ended by then does not end by its bug
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


@contextlib.contextmanager
def planted(target: str, error: str) -> Iterator[None]:
    """Have *target* do nothing but raise *error* while the block runs.

    It is named as `module:qualified name`. Its code is changed in its place, below all decorators
    and for whoever holds the function already, so that what is raised is raised by our module.
    """
    module, _, name = target.partition(":")
    outer, *inner = name.split(".<locals>.")
    found: object = importlib.import_module(module)
    for part in outer.split("."):
        found = inspect.getattr_static(found, part)
    function = inspect.unwrap(found)  # type: ignore[arg-type]  # it is a function by now
    assert inspect.isfunction(function), target
    kept = function.__code__
    function.__code__ = _changed(kept, inner, error)
    try:
        yield
    finally:
        function.__code__ = kept


def _changed(code: CodeType, inner: list[str], error: str) -> CodeType:
    if not inner:
        return _raising(code, error)
    first, *rest = inner
    found = [each for each in code.co_consts if _is_named(each, first)]
    assert len(found) == 1, f"{code.co_qualname} has {len(found)} functions of the name {first}"
    changed = _changed(found[0], rest, error)
    consts = (changed if each is found[0] else each for each in code.co_consts)
    return code.replace(co_consts=tuple(consts))


def _raising(code: CodeType, error: str) -> CodeType:
    """Return code that raises, of the same kind as *code* and with the same free variables."""
    free = code.co_freevars
    kind = "async def" if code.co_flags & inspect.CO_COROUTINE else "def"
    lines = ["def outer():", *(f" {each} = None" for each in free)]
    lines += [f" {kind} planted(*args, **kwargs):", *(f"  {each}" for each in free)]
    lines += [f"  raise {error}"]
    made = compile("\n".join(lines), "planted", "exec")
    for name in ("outer", "planted"):
        [made] = [each for each in made.co_consts if _is_named(each, name)]
    assert made.co_freevars == free
    return made.replace(co_name=code.co_name, co_qualname=code.co_qualname)


def _is_named(constant: object, name: str) -> bool:
    return isinstance(constant, CodeType) and constant.co_name == name


def first_bug(
    play: Callable[[], Awaitable[object]], loop_factory: LoopFactory, target: str, error: str
) -> Exception | None:
    """Return the bug that ends *play*, which has no end by itself, where *target* has one.

    The bug is taken away again before all that is open is closed.
    """
    bugs = Bugs()

    async def run(plants: ExitStack) -> None:
        task = asyncio.current_task()
        assert task is not None
        cancel = task.cancel

        def end() -> None:
            plants.close()
            cancel()

        bugs.end_by(end)
        async with asyncio.timeout(LIMIT):
            await play()

    with ExitStack() as plants, asyncio.Runner(loop_factory=loop_factory) as runner:
        plants.enter_context(planted(target, error))
        with suppress(asyncio.CancelledError):
            runner.run(run(plants))
    return bugs.first


async def for_ever() -> None:
    await asyncio.Event().wait()
