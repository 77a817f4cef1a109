"""All supplies together: what is needed, what is due, and what becomes of STS's answers."""

import contextlib
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from rolecall_proto.values import PodUid, Reason, Session, SessionId, State
from rolecall_server.credentials.heap import Agenda
from rolecall_server.credentials.identity_state import Supply
from rolecall_server.credentials.queue import Schedule, Urgency
from rolecall_server.credentials.rate_limiter import Budget
from rolecall_server.credentials.retry import Setback, setback
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import Issued, IssueError, ThrottledError, UnavailableError
from rolecall_server.nodes.subscription import Connection
from rolecall_server.telemetry.journal import Journal, Why

# Sessions that nobody needs are kept until their renewal, for an agent that restarts or a job that
# runs every minute; where every pod has its own, no more than this, which is about 10 MB.
MOST_IDLE = 4096
_WHY = {Urgency.WAITING: Why.WAITING, Urgency.NEW: Why.NEW, Urgency.RENEWAL: Why.RENEWAL}


class Stock:
    """Keeps each identity that a connected node needs supplied, with one call of STS at a time.

    What nobody needs is not forgotten at once but when its moment comes, so that neither an agent
    that restarts nor a pod that is replaced costs a call.
    """

    def __init__(
        self,
        budget: Budget,
        reported_early: timedelta,
        dice: random.Random,
        journal: Journal,
        wake: Callable[[], None],
    ) -> None:
        self.budget = budget
        self.schedule = Schedule()
        self.supplies: dict[SessionId, Supply] = {}
        self.claims_restored = 0
        self._reported_early = reported_early
        self._dice = dice
        self._journal = journal
        self._wake = wake
        self._ends: Agenda[SessionId, datetime] = Agenda()
        self._idle: dict[SessionId, None] = {}
        self._started: dict[SessionId, tuple[Why, datetime]] = {}
        self._latest = datetime.min.replace(tzinfo=UTC)  # The last time it was told.

    def need(
        self, identity: Identity, uid: PodUid, connection: Connection, now: datetime, *, new: bool
    ) -> None:
        """Note that a pod of *connection* needs *identity*; *new*: it did not before."""
        session_id = identity.session_id
        supply = self.supplies.get(session_id)
        if supply is None:
            supply = self.supplies[session_id] = Supply(identity, self._dice)
        self._idle.pop(session_id, None)
        if session_id not in connection.users:
            connection.users[session_id] = {}
            self._join(supply, connection)
        connection.users[session_id][uid] = None
        if new and supply.setback is not None:
            supply.setback = supply.setback.pulled_forward(now)
        self._plan(supply, now)

    def release(
        self, session_id: SessionId, uid: PodUid, connection: Connection, now: datetime
    ) -> None:
        """Note that the pod no longer needs it; nothing happens where it did not."""
        users = connection.users.get(session_id)
        if users is None:
            return
        users.pop(uid, None)
        if not users:
            del connection.users[session_id]
            self._leave(session_id, connection, now)

    def release_all(self, connection: Connection, now: datetime) -> None:
        """Note that the connection is over."""
        for session_id in list(connection.users):
            self._leave(session_id, connection, now)
        connection.users.clear()

    def lose(self, session_id: SessionId, connection: Connection) -> None:
        """Note that the connection does not hold what it had claimed, after all."""
        supply = self.supplies[session_id]
        supply.claims.pop(connection, None)
        self._plan(supply, self._latest)

    def hasten(self, session_id: SessionId, now: datetime) -> None:
        """Note that a pod waits for it."""
        supply = self.supplies.get(session_id)
        if supply is not None and supply.is_missed and not supply.waiting:
            supply.waiting = True
            self._plan(supply, now)

    def standing(
        self, session_id: SessionId, connection: Connection
    ) -> tuple[State, Reason | None]:
        return self.supplies[session_id].standing(connection)

    def session(self, session_id: SessionId) -> Session | None:
        supply = self.supplies.get(session_id)
        return None if supply is None else supply.session

    def refusal(self, session_id: SessionId, connection: Connection) -> Setback | None:
        """Return why STS refuses it, where that leaves the pods of *connection* without."""
        supply = self.supplies[session_id]
        return supply.setback if supply.standing(connection)[0] is State.FAILED else None

    def users(self, session_id: SessionId) -> Iterator[PodUid]:
        """Yield the pods of connected nodes that need it."""
        for connection in self.supplies[session_id].needed_by:
            yield from connection.users[session_id]

    def due(self, now: datetime) -> list[Identity]:
        """Take what may be issued now; drop what has ended, and what nobody needs any more."""
        self._lapse(now)
        taken: list[Identity] = []
        while self.budget.is_open(now):
            session_id = self.schedule.take(now)
            if session_id is None:
                break
            if self._start(self.supplies[session_id], now):
                taken.append(self.supplies[session_id].identity)
        return taken

    def next_moment(self, now: datetime) -> datetime | None:
        """Return when `due` is to be called next; None: when something has changed."""
        moments = [] if (end := self._ends.first()) is None else [end[0]]
        planned, opens = self.schedule.next_moment(now), self.budget.opens_at(now)
        if planned is not None and opens is not None:
            moments.append(max(planned, opens))
        return max(now, min(moments)) if moments else None

    def issued(self, identity: Identity, issued: Issued, now: datetime) -> None:
        """Take in what STS gave, and give it to every node that needs it."""
        credentials = issued.credentials
        if credentials.expires_at <= now:
            # Taken as it is, it would be asked for again at once, and again.
            late = UnavailableError("STS gave credentials that have ended; is a clock wrong?")
            self.failed(identity, late, now)
            return
        supply, why, due_at = self._land(identity)
        end = credentials.expires_at - self._reported_early
        session = Session(identity.session_id, credentials, reported_until=end)
        with _told_of_changes(supply):
            supply.renew(session, now, self._dice)
        for connection in supply.needed_by:
            connection.touch_session(session.id, state=False)
        self._plan(supply, now)
        self._journal.issued(identity, issued, why, max(now - due_at, timedelta()))

    def failed(self, identity: Identity, error: IssueError, now: datetime) -> None:
        """Note that STS gave nothing; it is asked again when the error allows."""
        supply, _, _ = self._land(identity)
        if isinstance(error, ThrottledError):
            self.budget.throttle(now)
        with _told_of_changes(supply):
            supply.setback = setback(supply.setback, error, now, self._dice)
        self._plan(supply, now)
        self._journal.failed(identity, error)

    def _join(self, supply: Supply, connection: Connection) -> None:
        identity = supply.identity
        claimed = connection.claims.end(identity) if connection.claims is not None else None
        if claimed is not None:
            connection.accept(identity.session_id, claimed)
            self.claims_restored += 1
        supply.need(connection, claimed)

    def _leave(self, session_id: SessionId, connection: Connection, now: datetime) -> None:
        supply = self.supplies[session_id]
        supply.release(connection)
        self._plan(supply, now)
        if not supply.needed_by:
            self._idle[session_id] = None
            self._bound_idle()

    def _bound_idle(self) -> None:
        while len(self._idle) > MOST_IDLE:
            oldest = next(iter(self._idle))
            del self._idle[oldest]
            if not self.schedule.is_in_flight(oldest):
                self._forget(oldest)

    def _start(self, supply: Supply, now: datetime) -> bool:
        """Begin a call for what has just been taken, unless there is no need for one (yet)."""
        session_id = supply.identity.session_id
        supply.recount()
        due_at = supply.due_at(now)
        if supply.needed_by and due_at <= now:
            self._started[session_id] = (_WHY[supply.urgency()], due_at)
            self.budget.start()
            return True
        self.schedule.landed(session_id)
        if supply.needed_by:
            self._plan(supply, now)
        else:
            self._forget(session_id)
        return False

    def _land(self, identity: Identity) -> tuple[Supply, Why, datetime]:
        session_id = identity.session_id
        why, due_at = self._started.pop(session_id)
        self.schedule.landed(session_id)
        self.budget.land()
        return self.supplies[session_id], why, due_at

    def _lapse(self, now: datetime) -> None:
        while (first := self._ends.first()) is not None and first[0] <= now:
            session_id = self._ends.pop()
            supply = self.supplies[session_id]
            for connection in supply.lapse(now):
                connection.touch_session(session_id, state=True)
            self._plan(supply, now)

    def _plan(self, supply: Supply, now: datetime) -> None:
        self._latest = now
        supply.note_missing(now)
        session_id, end = supply.identity.session_id, supply.first_end()
        if end is None:
            self._ends.drop(session_id)
        else:
            self._ends.put(session_id, end)
        worst = supply.missed_since or end or now
        self.schedule.plan(session_id, supply.due_at(now), supply.urgency(), worst)
        self._wake()

    def _forget(self, session_id: SessionId) -> None:
        self.schedule.forget(session_id)
        self._ends.drop(session_id)
        self._idle.pop(session_id, None)
        del self.supplies[session_id]


@contextlib.contextmanager
def _told_of_changes(supply: Supply) -> Iterator[None]:
    """Tell each connection for whose pods the block changes something."""
    before = {each: supply.standing(each) for each in supply.needed_by}
    yield
    for connection, standing in before.items():
        if supply.standing(connection) != standing:
            connection.touch_session(supply.identity.session_id, state=True)
