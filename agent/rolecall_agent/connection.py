"""One connection of a pod: answers its requests in order, and parks what must wait."""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, cast

from rolecall_agent.cache import Cache
from rolecall_agent.framing import Framing
from rolecall_agent.requests import Request, parse
from rolecall_agent.routes import Route, Target, find
from rolecall_agent.verdicts import (
    MALFORMED,
    TIMED_OUT,
    Ending,
    Hold,
    Missing,
    Serve,
    Verdict,
)
from rolecall_proto.values import Address

MOST_WAITING = 100  # pipelined requests of one connection; contract §5


@dataclass(slots=True)
class Asked:
    """One request on its way to an answer. Not frozen, for speed, as Request is not."""

    request: Request
    target: Target
    head: bytes
    peer: Address
    at: float  # When its head had arrived, on the loop's clock.


@dataclass(slots=True)
class Hot:
    """The last answer, and what it was an answer to: equal bytes get it again, unparsed.

    Everything on the way from a head to its answer depends on the head, the peer, the cache's
    generation and the time. The first and the third are compared, the second is the connection's, and
    *until* is where the fourth begins to matter.
    """

    head: bytes
    answer: bytes
    until: float  # On the loop's clock: the end of this second, of the token, of the credentials.
    generation: int
    route: Route
    left: timedelta
    served: int = 0


@dataclass(slots=True)
class Parked:
    """The request that waits, and behind it all others of its connection."""

    asked: Asked
    timer: asyncio.TimerHandle
    missing: Missing


class Desk(Protocol):
    """What a connection needs of its door."""

    loop: asyncio.AbstractEventLoop
    hold: float  # seconds
    cache: Cache

    def opened(self, connection: "Connection", host: str) -> Address: ...
    def closed(self, connection: "Connection") -> None: ...
    def head_awaited(self, connection: "Connection", *, partial: bool) -> None: ...
    def idles(self, connection: "Connection") -> None: ...
    def is_own_host(self, host: bytes | None, transport: asyncio.Transport) -> bool: ...
    def now(self) -> datetime: ...
    def verdict(self, asked: Asked, now: datetime) -> Verdict: ...
    def park(self, connection: "Connection", peer: Address) -> None: ...
    def unpark(self, connection: "Connection", parked: Parked) -> None: ...
    def answer(self, asked: Asked, ending: Ending, now: datetime, *, waited: bool) -> bytes: ...
    def hot(self, asked: Asked, serve: Serve, answer: bytes, now: datetime) -> Hot: ...
    def settle(self, hot: Hot) -> None: ...


_MALFORMED_TARGET = Target(Route.MALFORMED)


class Connection(asyncio.Protocol):
    """A client, known by its TCP peer's address and by nothing else."""

    __slots__ = (
        "_cache",
        "_desk",
        "_ended",
        "_framing",
        "_hot",
        "_lingers",
        "_parked",
        "_peer",
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
        self._framing = Framing()
        self._waiting: deque[tuple[bytes, float]] = deque()  # Whole heads, and when they came.
        self._parked: Parked | None = None
        self._hot: Hot | None = None  # Set only while nothing is framed, waiting or parked.
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
        self._peer = self._desk.opened(self, peername[0])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.settle()
        self._stuck = True
        if self._parked is not None:
            self._unpark(self._parked)
        self._forget_the_rest()
        self._desk.closed(self)

    def data_received(self, data: bytes) -> None:
        hot = self._hot
        if hot is not None and data == hot.head:
            now = self._time()
            if now < hot.until and hot.generation == self._cache.generation:
                hot.served += 1
                self.last_active = now
                self._transport.write(hot.answer)
                return
        if not self._lingers:
            self.settle()
            self._take(data)
            self._advance()

    def eof_received(self) -> bool:
        """Keep a half-closed connection open for what it has asked already."""
        self._ended = True
        return self._parked is not None or bool(self._waiting) or self._framing.has_whole

    def pause_writing(self) -> None:
        self.settle()
        self._stuck = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._stuck = False
        self._advance()

    def settle(self) -> None:
        """Have what was answered from memory counted, and drop the memory."""
        if self._hot is not None:
            self._desk.settle(self._hot)
            self._hot = None

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

    def _advance(self) -> None:
        """Answer what is whole, in order, until something must wait or nothing is left."""
        waiting = self._waiting
        while waiting and self._parked is None and not self._stuck:
            self._handle(*waiting.popleft())
        if self._parked is None and not self._stuck:
            self._go_on()

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
        """Nothing waits: take what was left behind so that others had their turn, read, or close."""
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
        asked = Asked(request, find(request.path), head, self._peer, at)
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
        return Asked(nothing, _MALFORMED_TARGET, head, self._peer, at)

    def _park(self, asked: Asked, missing: Missing, now: datetime) -> None:
        until = asked.at + self._desk.hold
        if until <= self._time():  # It has waited behind another one.
            self._answer(asked, TIMED_OUT, now, waited=True)
            return
        self._parked = Parked(asked, self._desk.loop.call_at(until, self.give_up), missing)
        self._desk.park(self, self._peer)

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
        if not asked.request.keep_alive:
            self._forget_the_rest()
            self._transport.close()
        elif isinstance(ending, Serve) and self._is_quiet():
            self._hot = self._desk.hot(asked, ending, answer, now)

    def _is_quiet(self) -> bool:
        return not (self._waiting or self._stuck or self._ended) and self._framing.is_empty

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
