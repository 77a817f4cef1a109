"""Until when something must have come on a connection, or it is dropped."""

import abc
import math

from rolecall_agent.http.connection_state import IDLE
from rolecall_agent.http.request_cycle import RequestCycle
from rolecall_agent.http.server_state import ServerState

# Seconds from an answer until a connection counts as idle. An SDK asks for token, list and document
# within milliseconds, and its kernel has acknowledged an answer within 40.
REST = 0.1
NEVER = math.inf


class TimedConnection(RequestCycle):
    """The part of a connection that knows its deadline."""

    __slots__ = ("_head_due", "_time", "_time_limits", "due")

    def __init__(self, server: ServerState) -> None:
        super().__init__(server)
        self._time = server.loop.time
        self._time_limits = server.time_limits
        # When the head that has begun must be whole, or the first of all must. However its parts
        # come, and however long they wait for their turn here, it has no more time.
        self._head_due = NEVER
        self.due = NEVER  # When the connection is dropped, on the loop's clock.

    @property
    def is_idle(self) -> bool:
        rests = self._state is IDLE and self._head_due == NEVER
        return rests and self.due - self._time_limits.idle + REST <= self._time()

    @abc.abstractmethod
    def _settle(self) -> None:
        """Read on, or not, and say until when something must have come."""

    def _handle_alone(self, head: bytes, at: float) -> None:
        """Handle a request that has come in one piece, and nothing with it, as most do."""
        self._head_due = NEVER
        self._handle(head, at)
        due = at + self._time_limits.idle
        if self._state is IDLE and due >= self.due:
            self.due = due  # To put it off need not be watched.
        elif not self._transport.is_closing():
            self._settle()

    def _expire_in(self, seconds: float) -> None:
        self._expire_at(self._time() + seconds)

    def _expire_at(self, moment: float) -> None:
        self.due = moment
        self._server.timeouts.watch(moment)

    def _await_head(self) -> None:
        """Expect a head, or go on expecting the one that has begun."""
        if self._head_due == NEVER:
            self._head_due = self._time() + self._time_limits.head
        self._expire_at(self._head_due)
