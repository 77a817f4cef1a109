"""One look through the AWS chain, in a thread that may hang for ever and hold up nobody."""

import asyncio
import contextlib
import threading
from collections.abc import Callable

from rolecall_server.model.issuer import IssueError, UnavailableError
from rolecall_server.sts.own_credentials import OwnCredentials

# Of an error in the thread that nobody foresaw; its traceback is on the error output.
_UNFORESEEN = UnavailableError("own AWS credentials: an unforeseen error")


class ChainReading:
    """Begins to *read* at once; `done` is set at its end.

    The process does not wait for it when it ends itself, as it would for asyncio's own threads.
    """

    def __init__(self, read: Callable[[], OwnCredentials | IssueError]) -> None:
        self.done = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._read = read
        self._outcome: OwnCredentials | IssueError = _UNFORESEEN
        threading.Thread(target=self._run, name="own AWS credentials", daemon=True).start()

    def result(self) -> OwnCredentials:
        """Return what was read, once it is done. Raises UnavailableError."""
        if isinstance(self._outcome, IssueError):
            raise self._outcome
        return self._outcome

    def _run(self) -> None:
        try:
            self._outcome = self._read()
        finally:
            # A loop that has been closed meanwhile needs to hear nothing.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.done.set)
