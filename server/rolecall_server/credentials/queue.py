"""Which identities are to be issued, when, and in which order: state that can be asked again."""

import enum
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from rolecall_proto.values import SessionId
from rolecall_server.credentials.call_rates import Scope
from rolecall_server.credentials.fair_lanes import FairLanes, Place
from rolecall_server.credentials.heap import KeyedHeap


class Urgency(enum.IntEnum):
    """How urgent an identity is."""

    ENDING = 0  # What is held ends soon.
    WAITING = 1  # A pod has asked, and its request is held.
    NEW = 2  # A pod needs it and its node holds nothing.
    RENEWAL = 3  # What is held ends some time.


class Entry(NamedTuple):
    """What is to be issued, and when."""

    at: datetime
    urgency: Urgency
    end: datetime  # When what is held ends, or since when it has been missing.
    place: Place
    ending_at: datetime | None = None  # From when on a RENEWAL is ENDING.


_AFTER_ENDING = (Urgency.WAITING, Urgency.NEW, Urgency.RENEWAL)


class IssueQueue:
    """Holds at most one entry for each identity, and none that is in flight.

    An entry waits for its moment; from then on it is ready, and stays so until somebody takes it:
    no signal is sent that could be lost. Ready ones are taken in turn from what is ending and from
    all the rest, so that neither new pods nor renewals can keep the other waiting for long; of the
    rest by urgency. In each class namespaces have equal shares.
    """

    def __init__(self) -> None:
        self._later: KeyedHeap[SessionId, datetime] = KeyedHeap()
        self._ending: KeyedHeap[SessionId, datetime] = KeyedHeap()
        self._ready = {urgency: FairLanes() for urgency in Urgency}
        self._entries: dict[SessionId, Entry] = {}
        self._in_flight: set[SessionId] = set()
        self._ending_is_next = True

    def put(self, session_id: SessionId, entry: Entry) -> None:
        """Have *session_id* issued by *entry*, instead of whatever its entry said.

        An identity in flight is left alone: whoever completes its call puts it here anew.
        """
        if session_id in self._in_flight:
            return
        self.drop(session_id)
        self._entries[session_id] = entry
        self._later.put(session_id, entry.at)

    def drop(self, session_id: SessionId) -> None:
        """Remove the entry of *session_id*. A call that is in flight goes on."""
        if self._entries.pop(session_id, None) is None:
            return
        self._later.drop(session_id)
        self._ending.drop(session_id)
        for lanes in self._ready.values():
            lanes.drop(session_id)

    def take(self, now: datetime, is_open: Callable[[Scope], bool]) -> SessionId | None:
        """Take an entry whose moment has come, in a scope that *is_open*: it is in flight then."""
        self._promote(now)
        for urgency in self._order():
            session_id = self._ready[urgency].take(is_open)
            if session_id is not None:
                self._ending_is_next = urgency is not Urgency.ENDING
                self.drop(session_id)
                self._in_flight.add(session_id)
                return session_id
        return None

    def complete(self, session_id: SessionId) -> None:
        """Note that the call is over; *session_id* has no entry until it is put here again."""
        self._in_flight.discard(session_id)

    def is_in_flight(self, session_id: SessionId) -> bool:
        return session_id in self._in_flight

    def next_moment(
        self, now: datetime, opens_at: Callable[[Scope, datetime], datetime]
    ) -> datetime | None:
        """Return when `take` has something to give, *now* at the earliest; None: never.

        *opens_at* says from when on a call may start in a scope.
        """
        moments = [max(now, first[0])] if (first := self._later.first()) is not None else []
        for lanes in self._ready.values():
            for scope in lanes.scopes:
                if (moment := opens_at(scope, now)) <= now:
                    return now
                moments.append(moment)
        return min(moments, default=None)

    def count_ready(self, now: datetime) -> int:
        """Return how many entries could be taken."""
        self._promote(now)
        return sum(len(lanes) for lanes in self._ready.values())

    def _order(self) -> Iterator[Urgency]:
        if self._ending_is_next:
            yield Urgency.ENDING
        yield from _AFTER_ENDING
        if not self._ending_is_next:
            yield Urgency.ENDING

    def _promote(self, now: datetime) -> None:
        while (first := self._later.first()) is not None and first[0] <= now:
            session_id = self._later.pop()
            entry = self._entries[session_id]
            self._ready[entry.urgency].put(session_id, entry.place, entry.end)
            if entry.ending_at is not None:
                self._ending.put(session_id, entry.ending_at)
        while (first := self._ending.first()) is not None and first[0] <= now:
            session_id = self._ending.pop()
            entry = self._entries[session_id]
            self._ready[entry.urgency].drop(session_id)
            self._ready[Urgency.ENDING].put(session_id, entry.place, entry.end)
