"""One connection of a pod: what is read when, and what is dropped.

Nothing is read while something that was read waits: the rest is in the kernel, or at its sender.
"""

import asyncio
from typing import cast

from rolecall_agent.http.connection_state import (
    ABORTED,
    ANSWERING,
    BLOCKED,
    CLOSING,
    DRAINING,
    ENDING,
    IDLE,
    PARKED,
    QUEUED,
    READING,
    THROTTLED,
    WAITING,
    State,
)
from rolecall_agent.http.framing import Framing
from rolecall_agent.http.lingering_close import LingeringClose, linger
from rolecall_agent.http.request import HEAD_END
from rolecall_agent.http.response_cache import CachedResponse
from rolecall_agent.http.server_state import ServerState
from rolecall_agent.http.timed_connection import NEVER, TimedConnection
from rolecall_common.callbacks import Reporting, reports_os_errors

MOST_UNSENT = 8 * 1024  # bytes of answers that wait for one client to read, and one answer more


class Connection(TimedConnection):
    """A client, known by its TCP peer's address and by nothing else."""

    __slots__ = (
        "_cache",
        "_find",
        "_framing",
        "_half_closed",
        "_last",
        "_lingering",
        "_read_at",
    )

    def __init__(self, server: ServerState) -> None:
        super().__init__(server)
        self._cache = server.cache
        self._find = server.endpoint.responses.find
        self._framing = Framing()
        self._read_at = 0.0  # When the last bytes were read.
        # What the last warm answer came from; none but while nothing of a request is here.
        self._last: CachedResponse | None = None
        self._half_closed = False  # The client sends no more.
        self._lingering: LingeringClose | None = None  # What is kept of it after its end.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peername = transport.get_extra_info("peername")
        if peername is None:  # Gone already.
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(MOST_UNSENT)
        self._await_head()
        peer = self._server.admit(self, peername[0])
        if peer is None:
            self._transport.abort()
            return
        self._peer_name, self._peer = peername[0], peer

    def connection_lost(self, exc: Exception | None) -> None:
        at_once = self._state is ABORTED or exc is not None
        self._enter(CLOSING)
        self.due = NEVER
        if self._parked is not None:
            self._unpark(self._parked)
        self._framing.clear()
        if self._peer_name:
            loop = self._server.loop
            self._lingering = linger(self._transport, loop, self._release, at_once=at_once)
            if self._lingering is None:
                self._release()

    @reports_os_errors
    def data_received(self, data: bytes) -> None:
        known = self._last
        if known is None or known.head != data:
            known = self._find((self._peer_name, data)) if self._state is IDLE else None
        if known is not None and known.generation == self._cache.generation:
            now = self._time()
            if now < known.until:
                self._repeat(known, now)
                return
        self._last = None
        if self._state is DRAINING:
            if not self._server.fair_queue.admit(self, self._peer_name):
                self._transport.pause_reading()
            return
        self._read_at = self._time()
        alone = self._state is IDLE and 0 <= data.find(HEAD_END) == len(data) - len(HEAD_END)
        alone = alone and self._endpoint.pod_of is None
        if alone and self._server.fair_queue.admit(self, self._peer_name):
            self._handle_alone(data, self._read_at)
        else:
            self._framing.feed(data)
            self.go_on()

    @Reporting()
    def eof_received(self) -> bool:
        """Keep a half-closed connection open for what it has asked already."""
        self._half_closed = True
        self._last = None
        return self._parked is not None or self._framing.has_unseen

    def pause_writing(self) -> None:
        if self._state not in ENDING:
            self._enter(BLOCKED)
        self._transport.pause_reading()
        self._expire_in(self._time_limits.reader)

    def resume_writing(self) -> None:
        if self._state is BLOCKED:
            self._enter(READING if self._parked is None else PARKED)
            self.go_on()

    def queue(self) -> None:
        """Read and answer nothing until `start`: this pod has too many connections at once."""
        self._enter(QUEUED)
        self._expire_in(self._time_limits.queue)
        # uvloop begins to read after `connection_made`, whatever was said in it.
        self._server.loop.call_soon(self._stop_reading)

    def start(self) -> None:
        """Read, and go on with what has come meanwhile."""
        self._enter(IDLE)
        self._head_due = NEVER
        self._await_head()
        if self._framing.is_empty:
            self._transport.resume_reading()
        else:
            self.go_on()

    def go_on(self) -> None:
        """Answer what is whole, in order, until something must wait or nothing is left.

        Each look at what has come is a share of a turn, also one that finds no whole head.
        """
        if self._state is THROTTLED:
            self._state = READING
        framing, admit = self._framing, self._server.fair_queue.admit
        # A connection that was dropped may have its turn once more before it hears of its end.
        while self._state in ANSWERING and framing.has_unseen and not self._transport.is_closing():
            if not admit(self, self._turn_for(framing.peek)):
                self._state = THROTTLED
            elif (head := framing.take()) is not None:
                self._head_due = NEVER
                self._handle(head, self._read_at)
        if not self._transport.is_closing():
            self._settle()

    def close(self) -> None:
        """Answer what is parked, and close."""
        self.expire()
        self._transport.close()

    def abort(self) -> None:
        """Drop the connection, and what is still on its way.

        Its deadline has passed, others need its place, or its pod's address has moved: the kernel
        would go on sending what was not received, to whoever has the address now.
        """
        self.due = NEVER  # Once is enough.
        if self._lingering is None:
            self._enter(ABORTED)
            self._transport.abort()
        else:
            self._lingering.reset()

    def _enter(self, state: State) -> None:
        """Be in *state*, unless it is all over, and have no answer at hand."""
        self._last = None
        if self._state is not ABORTED:
            self._state = state

    def _release(self) -> None:
        self._server.release(self, self._peer)

    def _repeat(self, known: CachedResponse, now: float) -> None:
        known.served += 1
        self._last = known
        self._head_due = NEVER
        self.due = now + self._time_limits.idle
        self._transport.write(known.response)  # It may block, which comes with a deadline.
        if known.close:
            self._close_once_sent()

    def _settle(self) -> None:
        """Read on, or not, and say until when something must have come."""
        state = self._state
        if state in ANSWERING:
            if self._half_closed:
                self._close_once_sent()
            else:
                self._read_on()
        elif state in WAITING:
            if state is not THROTTLED:
                self._head_due = NEVER
            if state is PARKED or state is THROTTLED:
                self.due = NEVER  # It is for us to go on.
            if not self._framing.is_empty:
                self._transport.pause_reading()
        elif state is DRAINING:
            self._transport.resume_reading()

    def _read_on(self) -> None:
        if not self._transport.is_reading():
            self._transport.resume_reading()
        if self._framing.is_empty:
            self._state = IDLE
            self._head_due = NEVER
            self._expire_in(self._time_limits.idle)
        elif self._head_due <= self._time():
            self.abort()  # It waited for its turn when others were looked at.
        else:
            self._state = READING
            self._await_head()

    def _stop_reading(self) -> None:
        if self._state is QUEUED or not self._framing.is_empty:
            self._transport.pause_reading()

    def _close_once_sent(self) -> None:
        self._enter(CLOSING)
        self._framing.clear()
        self._expire_in(self._time_limits.reader)
        self._transport.close()

    def _drain(self) -> None:
        if self._half_closed:
            self._close_once_sent()
            return
        self._enter(DRAINING)
        self._framing.clear()
        self._transport.write_eof()
        self._transport.resume_reading()
        self._expire_in(self._time_limits.head)  # No longer than a slow head.
