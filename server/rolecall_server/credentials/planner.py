"""What is issued next: the place where urgency, and how fast STS may be asked, are decided."""

from collections.abc import Callable
from datetime import UTC, datetime

from rolecall_proto.values import SessionId
from rolecall_server.credentials.call_rates import CallRates
from rolecall_server.credentials.circuit_breaker import CircuitBreaker
from rolecall_server.credentials.heap import KeyedHeap
from rolecall_server.credentials.identity_state import IdentityState
from rolecall_server.credentials.queue import IssueQueue, Urgency
from rolecall_server.credentials.retention import IdleRetention
from rolecall_server.model.identity import Identity
from rolecall_server.telemetry.journal import Why

_WHY = {
    Urgency.WAITING: Why.WAITING,
    Urgency.NEW: Why.NEW,
    Urgency.RENEWAL: Why.RENEWAL,
}


class Planner:
    """Says which identities are to be issued now, and when to ask it again.

    Every identity that the store knows has its place in the queue, or is in flight. What nobody
    needs is not forgotten at once but when its moment comes, so that neither an agent that restarts
    nor a pod that is replaced costs a call.
    """

    def __init__(
        self,
        states: dict[SessionId, IdentityState],
        rates: CallRates,
        breaker: CircuitBreaker,
        wake: Callable[[], None],
    ) -> None:
        """*states* is the store's, and shared. *wake* is called when `due` may say more."""
        self.queue = IssueQueue()
        self.rates = rates
        self.breaker = breaker
        self._states = states
        self._wake = wake
        self._ends: KeyedHeap[SessionId, datetime] = KeyedHeap()
        self._idle = IdleRetention()
        self._started: dict[SessionId, tuple[Why, datetime]] = {}
        self._latest = datetime.min.replace(tzinfo=UTC)  # The last time that anybody said.

    def due(self, now: datetime) -> list[Identity]:
        """Take what may be issued now; drop what has ended, and what nobody needs any more."""
        self._expire(now)
        taken: list[Identity] = []
        open_scopes = self.rates.open_scopes(now)
        while self.rates.is_open(now) and self.breaker.opens_at(now) == now:
            session_id = self.queue.take(now, open_scopes)
            if session_id is None:
                break
            if self._start(self._states[session_id], now):
                taken.append(self._states[session_id].identity)
        return taken

    def next_moment(self, now: datetime) -> datetime | None:
        """Return when `due` is to be called next; None: when something has changed."""
        moments = [] if (end := self._ends.first()) is None else [end[0]]
        queued = self.queue.next_moment(now, self.rates.scope_opens_at)
        opens, answers = self.rates.opens_at(now), self.breaker.opens_at(now)
        if queued is not None and opens is not None and answers is not None:
            moments.append(max(queued, opens, answers))
        return max(now, min(moments)) if moments else None

    def plan(self, state: IdentityState, now: datetime) -> None:
        """Take into account that something about *state* has changed."""
        self._latest = now
        state.note_missing(now)
        session_id, end = state.identity.session_id, state.first_end()
        if end is None:
            self._ends.drop(session_id)
        else:
            self._ends.put(session_id, end)
        self.queue.put(session_id, state.entry(now))
        self._wake()

    def replan(self, state: IdentityState) -> None:
        """Take a change into account where nobody says the time: as of the last that was said."""
        self.plan(state, self._latest)

    def complete(self, session_id: SessionId) -> tuple[Why, datetime]:
        """Note that the call for it is over; return why it was made, and since when it was due."""
        self.queue.complete(session_id)
        self.rates.complete()
        return self._started.pop(session_id)

    def retain(self, session_id: SessionId) -> None:
        """Keep what nobody needs any more for a while; of too many, the oldest is forgotten."""
        oldest = self._idle.keep(session_id)
        if oldest is not None and not self.queue.is_in_flight(oldest):
            self._forget(oldest)

    def reclaim(self, session_id: SessionId) -> None:
        """Note that somebody needs it again."""
        self._idle.drop(session_id)

    def _start(self, state: IdentityState, now: datetime) -> bool:
        """Begin a call for what has just been taken, unless there is no need for one (yet)."""
        session_id = state.identity.session_id
        state.recount()
        due_at = state.due_at(now)
        if state.needed_by and due_at <= now:
            self._started[session_id] = (_WHY[state.urgency()], due_at)
            self.rates.start(state.scope)
            self.breaker.start(session_id)
            return True
        self.queue.complete(session_id)
        if state.needed_by:
            self.plan(state, now)
        else:
            self._forget(session_id)
        return False

    def _expire(self, now: datetime) -> None:
        while (first := self._ends.first()) is not None and first[0] <= now:
            session_id = self._ends.pop()
            state = self._states[session_id]
            for subscription in state.expire(now):
                subscription.touch_session(session_id, state=True)
            self.plan(state, now)

    def _forget(self, session_id: SessionId) -> None:
        self.queue.drop(session_id)
        self._ends.drop(session_id)
        self._idle.drop(session_id)
        del self._states[session_id]
