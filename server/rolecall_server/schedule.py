"""Which identities are to be issued, when, and in which order: state that can be asked again."""

import enum
from datetime import datetime

from rolecall_server.agenda import Agenda
from rolecall_server.identity import Identity


class Urgency(enum.IntEnum):
    """How urgent an identity is, most urgent first."""

    WAITING = 0  # A pod has asked, and its request is held.
    NEW = 1  # A pod needs it and its node holds nothing.
    RENEWAL = 2  # What is held ends some time.


class Schedule:
    """Holds at most one plan for each identity, and none that is in flight.

    A plan waits for its moment; from then on it is ready, and stays so until somebody takes it: no
    signal is sent that could be lost. Ready plans are taken by urgency, then by what ends first.
    """

    def __init__(self) -> None:
        self._later: Agenda[Identity, datetime] = Agenda()
        self._ready: Agenda[Identity, tuple[Urgency, datetime]] = Agenda()
        self._plans: dict[Identity, tuple[Urgency, datetime]] = {}
        self._in_flight: set[Identity] = set()

    def plan(self, identity: Identity, at: datetime, urgency: Urgency, end: datetime) -> None:
        """Have *identity* issued at *at*, instead of what was planned for it.

        *end* is when what is held ends, or since when it has been missed. An identity in flight is
        left alone: whoever lands it plans anew.
        """
        if identity in self._in_flight:
            return
        self._ready.drop(identity)
        self._plans[identity] = (urgency, end)
        self._later.put(identity, at)

    def forget(self, identity: Identity) -> None:
        """Drop the plan for *identity*. A call that is in flight goes on."""
        self._plans.pop(identity, None)
        self._later.drop(identity)
        self._ready.drop(identity)

    def take(self, now: datetime) -> Identity | None:
        """Take the most urgent plan whose moment has come; its identity is in flight from now on."""
        self._ripen(now)
        if not self._ready:
            return None
        identity = self._ready.pop()
        del self._plans[identity]
        self._in_flight.add(identity)
        return identity

    def landed(self, identity: Identity) -> None:
        """The call for *identity* is over; it has no plan until it is given one."""
        self._in_flight.discard(identity)

    def is_in_flight(self, identity: Identity) -> bool:
        return identity in self._in_flight

    def next_moment(self, now: datetime) -> datetime | None:
        """Return when `take` has something to give, *now* at the earliest; None: nothing planned."""
        if self._ready:
            return now
        first = self._later.first()
        return None if first is None else max(now, first[0])

    def count_ready(self, now: datetime) -> int:
        """Return how many plans could be taken."""
        self._ripen(now)
        return len(self._ready)

    def count_in_flight(self) -> int:
        return len(self._in_flight)

    def _ripen(self, now: datetime) -> None:
        while (first := self._later.first()) is not None and first[0] <= now:
            identity = self._later.pop()
            self._ready.put(identity, self._plans[identity])
