"""One request at a time: what it asks, and its answer, now or as soon as there is one."""

import abc
import asyncio
from collections.abc import Callable
from datetime import datetime

from rolecall_agent.decision import (
    MALFORMED,
    Answer,
    Hold,
    Route,
    Target,
)
from rolecall_agent.http.client import Client
from rolecall_agent.http.connection_state import IDLE, PARKED, READING, State
from rolecall_agent.http.patience import ParkedRequest
from rolecall_agent.http.request import ReceivedRequest, Request
from rolecall_agent.http.server_state import ServerState
from rolecall_proto.values import Address

# What is read of a head that cannot be read.
_MALFORMED = (
    Request(
        method=b"", path=b"", host=None, tokens=(), ttl=None, forwarded=False, keep_alive=False
    ),
    Target(Route.MALFORMED),
)


class RequestCycle(asyncio.Protocol, Client):
    """The part of a connection that knows what is said on it. How it flows is the subclass's."""

    __slots__ = ("_endpoint", "_parked", "_peer", "_peer_name", "_server", "_state", "_transport")

    _peer: Address
    _transport: asyncio.Transport

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._endpoint = server.endpoint
        self._peer_name = ""  # The peer, as the kernel writes it; empty until it is known.
        self._parked: ParkedRequest | None = None
        self._state: State = IDLE

    def retry(self) -> None:
        """Decide again about the parked request: something about its pod has changed."""
        self._server.poll()  # It may be this pod no more: then the connection is cut.
        parked = self._parked
        if parked is None or self._transport.is_closing():
            return
        now = self._server.now()
        decision = self._endpoint.decide(parked.received, now)
        if isinstance(decision, Hold):
            parked.missing, parked.otherwise = decision.missing, decision.otherwise
            self._endpoint.inquire(parked)  # And what is to be asked may be another question now.
        else:
            self._complete(parked, decision, now)

    def wait_on(self, parked: ParkedRequest, now: float) -> None:
        """Send what of its answer's beginning is due, or end the hold: its moment has come."""
        if self._parked is not parked or self._transport.is_closing():
            return
        if now >= parked.until:
            self.expire()
            return
        self._transport.write(parked.begin(now))
        self._endpoint.inquire(parked)  # What nobody could answer before is asked again.
        self._server.hold_timer.add(self, parked)

    def expire(self) -> None:
        """Answer the parked request with what it gets without what it waited for: 503, mostly."""
        parked = self._parked
        if parked is not None:
            self._complete(parked, parked.otherwise, self._server.now())

    @abc.abstractmethod
    def _close_once_sent(self) -> None:
        """Close once everything is sent: nothing more is answered here."""

    @abc.abstractmethod
    def _drain(self) -> None:
        """Close what is sent, and throw away what still comes."""

    def _turn_for(self, peek: Callable[[], bytes]) -> str:
        """Return whose turn the head is of that *peek* sees: a proven pod's, or the address's."""
        pod_of = self._endpoint.pod_of
        return (pod_of and pod_of(peek())) or self._peer_name

    def _handle(self, head: bytes, at: float) -> None:
        """Answer, refuse or park the request that *head* is, and that had come by *at*."""
        server = self._server
        parsed = server.heads.parsed
        request, target = server.heads.read(head) or _MALFORMED
        if server.heads.parsed != parsed:
            server.fair_queue.charge()
        if request.host not in server.hosts and not server.is_own_host(
            request.host, self._transport
        ):
            request, target = _MALFORMED
        received = ReceivedRequest(
            request, target, head, self._peer, self._peer_name, at, request.keep_alive
        )
        if target.route is Route.MALFORMED:
            self._refuse(received)
            return
        now = server.now()
        decision = self._endpoint.decide(received, now)
        if isinstance(decision, Hold):
            self._park(received, decision, now)
        else:
            self._answer(received, decision, now, waited=False)

    def _park(self, received: ReceivedRequest, hold: Hold, now: datetime) -> None:
        parked = self._server.parked(received, hold)
        if parked.until <= self._server.loop.time():  # It has waited behind another one.
            self._answer(received, hold.otherwise, now, waited=True)
            return
        self._parked = parked
        self._state = PARKED
        self._endpoint.park(self, parked)
        self._server.hold_timer.add(self, parked)

    def _unpark(self, parked: ParkedRequest) -> None:
        self._parked = None
        if self._state is PARKED:
            self._state = READING
        self._endpoint.unpark(self, parked)

    def _complete(self, parked: ParkedRequest, answer: Answer, now: datetime) -> None:
        self._unpark(parked)
        self._answer(parked.received, answer, now, waited=True, begun=parked.begun)
        self.go_on()

    def _answer(
        self,
        received: ReceivedRequest,
        answer: Answer,
        now: datetime,
        *,
        waited: bool,
        begun: int = 0,
    ) -> None:
        """Send *answer*, but for so many bytes of its beginning as were sent already."""
        if self._server.leaving:
            received.keep_alive = False
        response = self._server.respond(received, answer, now, waited=waited)
        self._transport.write(response[begun:])
        if not received.keep_alive:
            self._close_once_sent()

    def _refuse(self, received: ReceivedRequest) -> None:
        """Say 400 and end, so that the answer is not lost to a reset by what is still unread."""
        received.keep_alive = False
        now = self._server.now()
        self._transport.write(self._server.respond(received, MALFORMED, now, waited=False))
        self._drain()
