"""A bug in a callback ends the process, as a bug does anywhere else.

A callback has no caller whom its exception could reach. asyncio and uvloop tell the exception
handler of the loop, whose own way is to log it and to go on, with half of what was to be done.
`Bugs` is a handler that ends the run. Some callers tell nobody; the decorators below do.

Not all that is reported is a bug: a loop also tells what peers and a full machine do to it, and a
peer must not be able to end the process. What counts is whose code it was that raised.
"""

import asyncio
import contextlib
import functools
import logging
import re
from collections.abc import Callable, Coroutine, Iterator
from traceback import walk_tb
from types import TracebackType
from typing import Any, NoReturn, ParamSpec, TypeVar, cast

log = logging.getLogger(__name__)

_OURS = "rolecall_"  # What the names of all our packages begin with.
# A report quotes what it is about, which may hold anything: what is logged ends before that.
_CONSTANT = re.compile(r"(?:[^<(]|\(\))*")

P = ParamSpec("P")
T = TypeVar("T")
Receiver = TypeVar("Receiver", bound=Callable[[Any, bytes], None])


class Bugs:
    """The exception handler of a run's loop: a bug of ours ends the run.

    The first is logged at once, for the end takes its time and may fail as well.
    """

    def __init__(self) -> None:
        self.first: Exception | None = None
        self._met = asyncio.Event()
        self._awaited = False

    def end_by(self, end: Callable[[], object]) -> None:
        """Be the running loop's handler, and call *end* at the first bug.

        Unless the run awaits `raised`. It is for good: what is reported last is heard as well.
        """
        self._end = end
        asyncio.get_running_loop().set_exception_handler(self)

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, Exception) or not is_ours(error):
            _log_report(context, error)
        elif self.first is None:
            self.first = error
            fields = {"callback": _callback(error)}
            log.critical("a bug ends the process; please report it", exc_info=error, extra=fields)
            # The garbage collector reports what nobody has retrieved, and it works in any thread.
            with contextlib.suppress(RuntimeError):  # The loop is closed: it has ended already.
                loop.call_soon_threadsafe(self._end_run)
        elif self.beside_first(error) is not None:
            fields = {"callback": _callback(error)}
            log.error("another bug while one ends the process", exc_info=error, extra=fields)

    async def raised(self) -> NoReturn:
        """Raise the first bug, once there is one.

        For a run to which its cancellation says that it was told to end: this is one of its tasks.
        """
        self._awaited = True
        await self._met.wait()
        raise self.first or AssertionError("it is set at a bug alone")

    def beside_first(self, error: BaseException) -> BaseException | None:
        """Return what *error* holds besides the first bug; None if that is all."""
        if isinstance(error, BaseExceptionGroup):
            return error.split(lambda each: each is self.first)[1]
        return None if error is self.first else error

    def _end_run(self) -> None:
        self._met.set()
        if not self._awaited:
            self._end()


class Reporting(contextlib.ContextDecorator):
    """Reports whatever leaves the block, but *expected*, where its caller would keep it to himself.

    So do asyncio's servers with what makes a protocol, and gRPC with all that it calls. It catches
    nothing: what was reported goes on. *loop* is for the threads of others.
    """

    def __init__(
        self, *expected: type[Exception], loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self._expected: tuple[type[BaseException], ...] = (asyncio.CancelledError, *expected)
        self._loop = loop

    def __enter__(self) -> None: ...

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if isinstance(error, BaseExceptionGroup):
            error = error.split(self._expected)[1]
        if error is not None and not isinstance(error, self._expected):
            report(error, self._loop)


def reports_os_errors(data_received: Receiver) -> Receiver:
    """Report the OSErrors of `data_received`, which transports take for the connection's.

    Everything else they report themselves; they close the connection either way.
    """

    # Every byte that is read comes this way: any arguments (`*args`) would cost thrice as much.
    @functools.wraps(data_received)
    def called(protocol: Any, data: bytes) -> None:  # noqa: ANN401 - whose method it is
        try:
            data_received(protocol, data)
        except OSError as error:
            report(error)
            raise

    return cast("Receiver", called)


def reports_all_but(
    *expected: type[Exception],
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Report what a coroutine raises, but *expected*, where a library is the one who awaits it."""

    def decorated(
        function: Callable[P, Coroutine[Any, Any, T]],
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        @functools.wraps(function)
        async def called(*args: P.args, **kwargs: P.kwargs) -> T:
            with Reporting(*expected):
                return await function(*args, **kwargs)

        return called

    return decorated


def report(error: BaseException, loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Tell the exception handler of *loop*, or of the running one, about *error*."""
    context = {"message": "Exception in a callback", "exception": error}
    (loop or asyncio.get_running_loop()).call_exception_handler(context)


def is_ours(error: BaseException) -> bool:
    """Tell whether code of ours has raised *error*, or let it pass.

    Else a loop, a transport or a library has failed on its own, and whatever it says is no bug of
    ours: a connection is reset, no descriptor is left for the next one, a handshake fails.
    """
    if isinstance(error, BaseExceptionGroup) and any(map(is_ours, error.exceptions)):
        return True
    return next(_our_frames(error), None) is not None


def _our_frames(error: BaseException) -> Iterator[str]:
    for frame, _ in walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(_OURS) and module != __name__:
            yield f"{module}.{frame.f_code.co_qualname}"


def _callback(error: BaseException) -> str:
    return next(_our_frames(error), "")


def _log_report(context: dict[str, Any], error: BaseException | None) -> None:
    found = _CONSTANT.match(context.get("message") or "")
    fields = {"report": found[0].strip() if found else ""}
    log.warning("the event loop reports what is no bug", exc_info=error, extra=fields)
