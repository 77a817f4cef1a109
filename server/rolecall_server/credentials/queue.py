"""Which identities are to be issued, when, and in which order: state that can be asked again."""

import enum
from datetime import datetime

from rolecall_proto.values import SessionId
from rolecall_server.credentials.heap import KeyedHeap


class Urgency(enum.IntEnum):
    """How urgent an identity is, most urgent first."""

    WAITING = 0  # A pod has asked, and its request is held.
    NEW = 1  # A pod needs it and its node holds nothing.
    RENEWAL = 2  # What is held ends some time.


class IssueQueue:
    """Holds at most one entry for each identity, and none that is in flight.

    An entry waits for its moment; from then on it is ready, and stays so until somebody takes it:
    no signal is sent that could be lost. Ready ones are taken by urgency, then by what ends first.
    """

    def __init__(self) -> None:
        self._later: KeyedHeap[SessionId, datetime] = KeyedHeap()
        self._ready: KeyedHeap[SessionId, tuple[Urgency, datetime]] = KeyedHeap()
        self._entries: dict[SessionId, tuple[Urgency, datetime]] = {}
        self._in_flight: set[SessionId] = set()

    def put(self, session_id: SessionId, at: datetime, urgency: Urgency, end: datetime) -> None:
        """Have *session_id* issued at *at*, instead of whatever its entry said.

        *end* is when what is held ends, or since when it has been missing. An identity in flight is
        left alone: whoever completes its call puts it here anew.
        """
        if session_id in self._in_flight:
            return
        self._ready.drop(session_id)
        self._entries[session_id] = (urgency, end)
        self._later.put(session_id, at)

    def drop(self, session_id: SessionId) -> None:
        """Remove the entry of *session_id*. A call that is in flight goes on."""
        self._entries.pop(session_id, None)
        self._later.drop(session_id)
        self._ready.drop(session_id)

    def take(self, now: datetime) -> SessionId | None:
        """Take the most urgent entry whose moment has come; it is in flight from now on."""
        self._promote(now)
        if not self._ready:
            return None
        session_id = self._ready.pop()
        del self._entries[session_id]
        self._in_flight.add(session_id)
        return session_id

    def complete(self, session_id: SessionId) -> None:
        """Note that the call is over; *session_id* has no entry until it is put here again."""
        self._in_flight.discard(session_id)

    def is_in_flight(self, session_id: SessionId) -> bool:
        return session_id in self._in_flight

    def next_moment(self, now: datetime) -> datetime | None:
        """Return when `take` has something to give, *now* at the earliest; None: never."""
        if self._ready:
            return now
        first = self._later.first()
        return None if first is None else max(now, first[0])

    def count_ready(self, now: datetime) -> int:
        """Return how many entries could be taken."""
        self._promote(now)
        return len(self._ready)

    def _promote(self, now: datetime) -> None:
        while (first := self._later.first()) is not None and first[0] <= now:
            session_id = self._later.pop()
            self._ready.put(session_id, self._entries[session_id])
