"""One connection of a pod: what is read when, and what is dropped.

Nothing is read while something that was read waits: the rest is in the kernel, or at its sender.
"""

import asyncio
import math
from typing import cast

from rolecall_agent.http.endpoint import Desk
from rolecall_agent.http.framing import Framing
from rolecall_agent.http.lingering_close import Leaving, leave
from rolecall_agent.http.request_cycle import Exchange
from rolecall_agent.http.response_cache import Remembered

MOST_UNSENT = 8 * 1024  # bytes of answers that wait for one client to read, and one answer more


class Connection(Exchange):
    """A client, known by its TCP peer's address and by nothing else."""

    __slots__ = (
        "_cache",
        "_came",
        "_ended",
        "_framing",
        "_is_dropped",
        "_is_quiet",
        "_last",
        "_leaving",
        "_lingers",
        "_may_go",
        "_owes_head",
        "_patience",
        "_recall",
        "_stuck",
        "_time",
        "due",
    )

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._cache = desk.cache
        self._time = desk.loop.time
        self._recall = desk.memory.recall
        self._may_go = desk.pace.may_go
        self._patience = desk.patience
        self._framing = Framing()
        self._came = 0.0  # When the last bytes were read.
        self._last: Remembered | None = None  # What the last warm answer came from.
        self._is_quiet = True  # Nothing is read, parked, ended or stuck.
        self._owes_head = True  # Its deadline is that of a head: begun, or the first of all.
        self._ended = False  # The client sends no more.
        self._stuck = False  # It is not its turn, or the client does not read, or is gone.
        self._lingers = False  # It was told 400: what it still sends is thrown away.
        self._is_dropped = False  # Not even what it was sent may still arrive.
        self._leaving: Leaving | None = None  # What is kept of it after its end.
        self.due = math.inf  # When it is dropped, on the loop's clock.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peername = transport.get_extra_info("peername")
        if peername is None:  # Gone already.
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(MOST_UNSENT)
        self._expire_in(self._patience.head)
        peer = self._desk.opened(self, peername[0])
        if peer is None:
            self._transport.abort()
            return
        self._host, self._peer = peername[0], peer

    def connection_lost(self, exc: Exception | None) -> None:
        self._stuck = True
        self._is_quiet = False
        self.due = math.inf
        if self._parked is not None:
            self._unpark(self._parked)
        self._framing.clear()
        if self._host:
            at_once = self._is_dropped or exc is not None
            self._leaving = leave(self._transport, self._desk.loop, self._left, at_once=at_once)
            if self._leaving is None:
                self._left()

    def data_received(self, data: bytes) -> None:
        if self._is_quiet:
            known = self._last
            if known is None or known.head != data:
                known = self._recall((self._host, data))
            if known is not None and known.generation == self._cache.generation:
                now = self._time()
                if now < known.until:
                    self._repeat(known, now)
                    return
        self._last = None
        if not self._lingers:
            self._came = self._time()
            self._framing.feed(data)
            self.go_on()

    def eof_received(self) -> bool:
        """Keep a half-closed connection open for what it has asked already."""
        self._ended = True
        self._is_quiet = False
        return self._parked is not None or self._framing.has_whole

    def pause_writing(self) -> None:
        self._stuck = True
        self._is_quiet = False
        self._hush()
        self._expire_in(self._patience.reader)

    def resume_writing(self) -> None:
        self._stuck = False
        self.go_on()

    def wait_turn(self) -> None:
        """Read and answer nothing until `take_turn`: this pod has too many connections at once."""
        self._stuck = True
        self._is_quiet = False
        self._expire_in(self._patience.line)
        # uvloop begins to read after `connection_made`, whatever was said in it.
        self._desk.loop.call_soon(self._hush)

    def take_turn(self) -> None:
        """Read, and go on with what has come meanwhile."""
        self._stuck = False
        self._owes_head = True
        self._expire_in(self._patience.head)
        if self._framing.is_empty:
            self._is_quiet = not self._ended
            self._transport.resume_reading()
        else:
            self.go_on()

    def go_on(self) -> None:
        """Answer what is whole, in order, until something must wait or nothing is left."""
        framing = self._framing
        is_paced = False
        # A connection that was dropped may have its turn once more before it hears of its end.
        while not (self._stuck or self._parked is not None or self._transport.is_closing()):
            head = framing.peek()
            if head is None:
                break
            is_paced = not self._may_go(self, self._peer)
            if is_paced:
                break
            framing.take()
            self._owes_head = False
            self._handle(head, self._came)
        if not (self._lingers or self._transport.is_closing()):
            self._settle(waits=is_paced or self._stuck or self._parked is not None)

    def shut(self) -> None:
        """Answer what is parked, and close."""
        self.give_up()
        self._transport.close()

    def kill(self) -> None:
        """Drop the connection, and what is still on its way.

        Its deadline has passed, others need its place, or its pod's address has moved: the kernel
        would go on sending what was not received, to whoever has the address now.
        """
        self.due = math.inf  # Once is enough.
        if self._leaving is None:
            self._is_dropped = True
            self._transport.abort()
        else:
            self._leaving.reset()

    def _left(self) -> None:
        self._desk.closed(self, self._peer)

    def _repeat(self, known: Remembered, now: float) -> None:
        known.served += 1
        self._transport.write(known.answer)
        if known.close:
            self._end()
        else:
            self._last = known
            self._owes_head = False
            self.due = now + self._patience.idle

    def _settle(self, *, waits: bool) -> None:
        """Read on, or not, and say until when something must have come."""
        framing = self._framing
        self._is_quiet = not (waits or self._ended) and framing.is_empty
        if waits:
            self._owes_head = False
            if not self._stuck:
                self.due = math.inf  # It is for us to go on.
            if not framing.is_empty:
                self._hush()
        elif self._ended:
            self._end()
        else:
            if not self._transport.is_reading():
                self._transport.resume_reading()
            if framing.is_empty:
                self._owes_head = False
                self._expire_in(self._patience.idle)
            elif not self._owes_head:
                self._owes_head = True
                self._expire_in(self._patience.head)

    def _hush(self) -> None:
        if self._stuck or not self._framing.is_empty:
            self._transport.pause_reading()

    def _expire_in(self, seconds: float) -> None:
        self.due = self._time() + seconds
        self._desk.watch(self.due)

    def _end(self) -> None:
        self._framing.clear()
        self._expire_in(self._patience.reader)
        self._transport.close()

    def _linger(self) -> None:
        if self._ended:
            self._end()
            return
        self._framing.clear()
        self._is_quiet = False
        self._lingers = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._expire_in(self._patience.head)  # No longer than a slow head.


class WatchedConnection(Connection):
    """One that may become another pod's while it is open: behind a bridge, say."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        self._desk.glance()
        if not self._transport.is_closing():  # It may be this one that was cut.
            super().data_received(data)
