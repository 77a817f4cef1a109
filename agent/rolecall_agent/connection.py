"""One connection of a pod: answers its requests in order, and parks what must wait."""

import asyncio
from collections import deque
from datetime import datetime
from typing import cast

from rolecall_agent.desk import Asked, Desk, Parked
from rolecall_agent.framing import Framing
from rolecall_agent.memory import Remembered
from rolecall_agent.requests import Request, parse
from rolecall_agent.routes import Route, Target
from rolecall_agent.verdicts import (
    MALFORMED,
    TIMED_OUT,
    Ending,
    Hold,
    Missing,
    Serve,
)

MOST_WAITING = 100  # pipelined requests of one connection; contract §5
_MALFORMED_TARGET = Target(Route.MALFORMED)


class Connection(asyncio.Protocol):
    """A client, known by its TCP peer's address and by nothing else."""

    __slots__ = (
        "_cache",
        "_desk",
        "_ended",
        "_framing",
        "_host",
        "_is_quiet",
        "_last",
        "_lingers",
        "_parked",
        "_peer",
        "_recall",
        "_stuck",
        "_time",
        "_transport",
        "_waiting",
        "last_active",
    )

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._cache = desk.cache
        self._time = desk.loop.time
        self._recall = desk.memory.recall
        self._host = ""  # The peer, as the kernel writes it; empty until it is known.
        self._framing = Framing()
        self._waiting: deque[tuple[bytes, float]] = deque()  # Whole heads, and when they came.
        self._parked: Parked | None = None
        self._last: Remembered | None = None  # What the last warm answer came from.
        self._is_quiet = True  # Nothing is framed, waiting, parked, ended or stuck.
        self._ended = False  # The client sends no more.
        self._stuck = False  # The client does not read, or is gone.
        self._lingers = False  # It was told 400: what it still sends is thrown away.
        self.last_active = 0.0

    @property
    def is_parked(self) -> bool:
        return self._parked is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peername = transport.get_extra_info("peername")
        if peername is None:  # Gone already.
            self._transport.abort()
            return
        self._host = peername[0]
        self._peer = self._desk.opened(self, self._host)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._stuck = True
        self._is_quiet = False
        if self._parked is not None:
            self._unpark(self._parked)
        self._forget_the_rest()
        if self._host:
            self._desk.closed(self, self._peer)

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
            self._take(data)
            self._advance()

    def eof_received(self) -> bool:
        """Keep a half-closed connection open for what it has asked already."""
        self._ended = True
        self._is_quiet = False
        return self._parked is not None or bool(self._waiting) or self._framing.has_whole

    def pause_writing(self) -> None:
        self._stuck = True
        self._is_quiet = False
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._stuck = False
        self._advance()

    def wait_turn(self) -> None:
        """Answer nothing until `take_turn`: this pod has too many connections at once."""
        self._stuck = True
        self._is_quiet = False

    def take_turn(self) -> None:
        """Go on with what has come meanwhile."""
        self.resume_writing()

    def retry(self) -> None:
        """Ask again for the parked request: something about its pod has changed."""
        parked = self._parked
        if parked is None:
            return
        now = self._desk.now()
        verdict = self._desk.verdict(parked.asked, now)
        if isinstance(verdict, Hold):
            parked.missing = verdict.missing
        else:
            self._leave(parked, verdict, now)

    def give_up(self) -> None:
        """Answer the parked request with 503: it has waited as long as SDKs do."""
        if self._parked is not None:
            self._leave(self._parked, TIMED_OUT, self._desk.now())

    def shut(self) -> None:
        """Answer what is parked, and close."""
        self.give_up()
        self._transport.close()

    def kill(self) -> None:
        """Drop the connection: its head is too slow, or it has been idle for too long."""
        self._transport.abort()

    def _repeat(self, known: Remembered, now: float) -> None:
        known.served += 1
        self._transport.write(known.answer)
        if known.close:
            self._transport.close()
        else:
            if self._last is None:
                # The first request may be one that is remembered: its head has come in time.
                self._desk.head_awaited(self, partial=False)
                self._desk.idles(self)
            self._last = known
            self.last_active = now

    def _advance(self) -> None:
        """Answer what is whole, in order, until something must wait or nothing is left."""
        waiting = self._waiting
        while waiting and self._parked is None and not self._stuck:
            self._handle(*waiting.popleft())
        if self._parked is None and not self._stuck:
            self._go_on()
        self._is_quiet = (
            not (self._parked or waiting or self._stuck or self._ended or self._lingers)
            and self._framing.is_empty
        )

    def _take(self, data: bytes) -> None:
        """Frame *data*: up to MOST_WAITING requests here, the others in the kernel."""
        now = self._time()
        heads = self._framing.cut(data, MOST_WAITING - len(self._waiting))
        self._waiting.extend((head, now) for head in heads)
        full = len(self._waiting) >= MOST_WAITING
        self._desk.head_awaited(self, partial=not full and not self._framing.is_empty)
        if full:
            self._transport.pause_reading()

    def _take_more(self) -> None:
        if not self._stuck and self._parked is None:
            self._take(b"")
            self._advance()

    def _go_on(self) -> None:
        """Nothing waits: take what was left so that others had their turn, read on, or close."""
        if self._framing.has_whole:
            self._desk.loop.call_soon(self._take_more)
        elif self._ended:
            self._transport.close()
        elif not self._transport.is_closing():
            if not self._transport.is_reading():
                self._transport.resume_reading()
            self._desk.idles(self)

    def _handle(self, head: bytes, at: float) -> None:
        request = parse(head)
        if request is None or not self._desk.is_own_host(request.host, self._transport):
            self._refuse(self._malformed(head, at))
            return
        asked = Asked(request, self._desk.find(request.path), head, self._peer, self._host, at)
        if asked.target.route is Route.MALFORMED:
            self._refuse(asked)
            return
        now = self._desk.now()
        verdict = self._desk.verdict(asked, now)
        if isinstance(verdict, Hold):
            self._park(asked, verdict.missing, now)
        else:
            self._answer(asked, verdict, now, waited=False)

    def _malformed(self, head: bytes, at: float) -> Asked:
        nothing = Request(
            method=b"", path=b"", host=None, tokens=(), ttl=None, forwarded=False, keep_alive=False
        )
        return Asked(nothing, _MALFORMED_TARGET, head, self._peer, self._host, at)

    def _park(self, asked: Asked, missing: Missing, now: datetime) -> None:
        until = asked.at + self._desk.hold
        if until <= self._time():  # It has waited behind another one.
            self._answer(asked, TIMED_OUT, now, waited=True)
            return
        self._parked = Parked(asked, self._desk.loop.call_at(until, self.give_up), missing)
        self._desk.park(self, self._parked)

    def _unpark(self, parked: Parked) -> None:
        parked.timer.cancel()
        self._parked = None
        self._desk.unpark(self, parked)

    def _leave(self, parked: Parked, ending: Ending, now: datetime) -> None:
        self._unpark(parked)
        self._answer(parked.asked, ending, now, waited=True)
        self._advance()

    def _answer(self, asked: Asked, ending: Ending, now: datetime, *, waited: bool) -> None:
        answer = self._desk.answer(asked, ending, now, waited=waited)
        self._transport.write(answer)
        self.last_active = self._time()
        if isinstance(ending, Serve) and not waited:
            self._desk.remember(asked, ending, answer, now)
        if not asked.request.keep_alive:
            self._forget_the_rest()
            self._transport.close()

    def _refuse(self, asked: Asked) -> None:
        """Say 400 and end, so that the answer is not lost to a reset by what is still unread."""
        asked.request.keep_alive = False
        self._transport.write(self._desk.answer(asked, MALFORMED, self._desk.now(), waited=False))
        self._forget_the_rest()
        if self._ended:
            self._transport.close()
            return
        self._lingers = True
        self._transport.write_eof()
        self._desk.head_awaited(self, partial=True)  # No longer than a slow head.

    def _forget_the_rest(self) -> None:
        self._waiting.clear()
        self._framing.clear()
