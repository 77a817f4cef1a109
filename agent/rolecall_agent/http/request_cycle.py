"""One request at a time: what it asks, and its answer, now or as soon as there is one."""

import abc
import asyncio
from datetime import datetime

from rolecall_agent.http.endpoint import Asked, Client, Desk, Parked
from rolecall_agent.http.request import Request, parse
from rolecall_agent.metadata.decide import MALFORMED, TIMED_OUT, Ending, Hold, Missing, Serve
from rolecall_agent.metadata.routes import Route, Target
from rolecall_proto.values import Address

_MALFORMED_TARGET = Target(Route.MALFORMED)


class Exchange(asyncio.Protocol, Client):
    """The part of a connection that knows what is said on it. How it flows is the subclass's."""

    __slots__ = ("_desk", "_host", "_parked", "_peer", "_transport")

    _peer: Address
    _transport: asyncio.Transport

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._host = ""  # The peer, as the kernel writes it; empty until it is known.
        self._parked: Parked | None = None

    def retry(self) -> None:
        """Ask again for the parked request: something about its pod has changed."""
        parked = self._parked
        if parked is None:
            return
        now = self._desk.now()
        verdict = self._desk.verdict(parked.asked, now)
        if isinstance(verdict, Hold):
            parked.missing = verdict.missing
            self._desk.inquire(parked)  # And what is to be asked may be another question now.
        else:
            self._leave(parked, verdict, now)

    def give_up(self) -> None:
        """Answer the parked request with 503: it has waited as long as SDKs do."""
        if self._parked is not None:
            self._leave(self._parked, TIMED_OUT, self._desk.now())

    @abc.abstractmethod
    def _end(self) -> None:
        """Close once everything is sent: nothing more is answered here."""

    @abc.abstractmethod
    def _linger(self) -> None:
        """Close what is sent, and throw away what still comes."""

    def _handle(self, head: bytes, at: float) -> None:
        """Answer, refuse or park the request that *head* is, and that had come by *at*."""
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
        if until <= self._desk.loop.time():  # It has waited behind another one.
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
        self.go_on()

    def _answer(self, asked: Asked, ending: Ending, now: datetime, *, waited: bool) -> None:
        answer = self._desk.answer(asked, ending, now, waited=waited)
        self._transport.write(answer)
        if isinstance(ending, Serve) and not waited:
            self._desk.remember(asked, ending, answer, now)
        if not asked.request.keep_alive:
            self._end()

    def _refuse(self, asked: Asked) -> None:
        """Say 400 and end, so that the answer is not lost to a reset by what is still unread."""
        asked.request.keep_alive = False
        self._transport.write(self._desk.answer(asked, MALFORMED, self._desk.now(), waited=False))
        self._linger()
