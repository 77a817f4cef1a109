"""What the connections of one server share: their limits, their timeouts, and whom they ask."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from rolecall_agent.audit import FirstServe, FirstServes
from rolecall_agent.decision import Answer, Hold, Outcome, Route, Serve, outcome_of, status_of
from rolecall_agent.http.client import Client
from rolecall_agent.http.connection_limits import (
    MOST_AT_ONCE,
    MOST_IN_ALL,
    MOST_QUEUED,
    ConnectionLimits,
)
from rolecall_agent.http.endpoint import Endpoint
from rolecall_agent.http.fair_queue import FairQueue
from rolecall_agent.http.hold_timer import HoldTimer
from rolecall_agent.http.host_header import names_of
from rolecall_agent.http.idle_eviction import IdleEviction
from rolecall_agent.http.known_heads import KnownHeads
from rolecall_agent.http.patience import PATIENT_HOLD, ParkedRequest
from rolecall_agent.http.request import ReceivedRequest
from rolecall_agent.http.timeouts import TIME_LIMITS, TimeLimits, Timeouts
from rolecall_agent.store.cache import Cache
from rolecall_common.clock import Clock
from rolecall_proto.values import Address, plain

HOLD = timedelta(milliseconds=900)  # SDKs give up after a second of silence.
# By names of their own: see `connection_state.py`.
_DOCUMENT = Route.ROLE_DOCUMENT
_SERVED, _HELD_SERVED = Outcome.SERVED, Outcome.HELD_SERVED
_MOST_PEERS = 4096  # addresses whose parsed form is kept; a node has some hundred pods


@dataclass(frozen=True, slots=True)
class ServerRules:
    """How a server treats its clients.

    *hosts* are those that are allowed besides the endpoint's own, *hold* is for how long a request
    waits in silence, *patient* says whether those wait longer whom a few bytes keep waiting,
    *connections* how many may be open at once, *at_once* and *queued* how many of one address are
    answered and wait beyond.
    """

    hosts: Iterable[str] = ()
    hold: timedelta = HOLD
    patient: bool = False
    connections: int = MOST_IN_ALL
    at_once: int = MOST_AT_ONCE
    queued: int = MOST_QUEUED
    time_limits: TimeLimits = TIME_LIMITS


def _see_nothing() -> None: ...


class ServerState:
    """Made by a server, and handed to each of its connections."""

    def __init__(
        self,
        endpoint: Endpoint,
        cache: Cache,
        clock: Clock,
        rules: ServerRules,
        first_serve: FirstServe,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.endpoint = endpoint
        self.cache = cache
        self.now = clock.now
        self.hold = rules.hold.total_seconds()
        self.patient = rules.patient
        self.leaving = False  # Whether each answer is to be the last of its connection.
        self.time_limits = rules.time_limits
        self.limits = ConnectionLimits(rules.at_once, rules.queued, rules.connections)
        self.idle_eviction = IdleEviction(self.loop, self.limits)
        self.fair_queue = FairQueue(self.loop)
        self.heads = KnownHeads(endpoint.find)
        self.timeouts = Timeouts(self.loop, self.limits)
        self.hold_timer = HoldTimer(self.loop)
        self.hosts = endpoint.hosts | {host.lower().encode() for host in rules.hosts}
        self.poll: Callable[[], None] = _see_nothing  # Takes in what the kernel has to say.
        self.empty = asyncio.Event()  # Set when the last connection is gone.
        self._peers: dict[str, Address] = {}
        self._first_serves = FirstServes(endpoint.name, first_serve)

    def admit(self, client: Client, peer_name: str) -> Address | None:
        """Return who *client* is; None where there is no place for it."""
        self.poll()
        address = self.address_of(peer_name)
        if not self.limits.add(client, address):
            return None
        if self.limits.crowded:
            self.idle_eviction.watch()
        return address

    def address_of(self, peer_name: str) -> Address:
        """Return the address that the kernel writes as *peer_name*."""
        address = self._peers.get(peer_name)
        if address is None:
            if len(self._peers) >= _MOST_PEERS:
                self._peers.clear()
            # A link-local peer comes with its link's name, which is no part of who it is.
            address = self._peers[peer_name] = plain(ip_address(peer_name.partition("%")[0]))
        return address

    def room(self, peer_name: str) -> int:
        """Return how many more connections *peer_name* may have."""
        return self.limits.room(self.address_of(peer_name))

    def release(self, client: Client, peer: Address) -> None:
        """Forget *client*, which is gone."""
        self.limits.remove(client, peer)
        self.fair_queue.remove(client)
        if not self.limits:
            self.empty.set()

    def is_own_host(self, host: bytes | None, transport: asyncio.Transport) -> bool:
        """Whether *host* is an address of ours: no name that a page could rebind (contract §5)."""
        if host is None or host in self.hosts:
            return True
        # Behind a wildcard listener, its own address is the one that the client reached.
        return host in names_of(*transport.get_extra_info("sockname")[:2])

    def parked(self, received: ReceivedRequest, hold: Hold) -> ParkedRequest:
        """Return how *received* is held."""
        patient = self.patient and self.endpoint.is_patient(received)
        longest = max(self.hold, PATIENT_HOLD) if patient else self.hold
        until = received.at + longest
        return ParkedRequest(received, hold.missing, hold.otherwise, until, patient)

    def respond(
        self, received: ReceivedRequest, answer: Answer, now: datetime, *, waited: bool
    ) -> bytes:
        """Return the bytes of *answer*, and count it; *waited* says that the request was held."""
        endpoint, route = self.endpoint, received.target.route
        seconds = self.loop.time() - received.at
        if not isinstance(answer, Serve):
            outcome = outcome_of(answer, waited=waited)
            endpoint.counters.answered(route, status_of(answer), outcome, seconds)
            return endpoint.render(received, answer, now)
        endpoint.counters.answered(route, 200, _HELD_SERVED if waited else _SERVED, seconds)
        if route is _DOCUMENT:
            endpoint.counters.served(answer.session.reported_until - now)
            self._first_serves.note(answer.assignment, answer.session)
        response = endpoint.render(received, answer, now)
        if not waited:
            endpoint.responses.add(received, answer, response, now)
        return response
