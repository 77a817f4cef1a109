"""The tables beneath the cache: pods by uid, pods by address, sessions by id, pods by session."""

from datetime import datetime, timedelta
from typing import assert_never

from rolecall_proto.values import (
    Address,
    Assignment,
    AssignmentUpserted,
    EndpointKeys,
    Heartbeat,
    PodRemoved,
    PodUid,
    Reason,
    Session,
    SessionId,
    SessionRenewed,
    SnapshotEnd,
    State,
    Update,
    plain,
)

# A session comes before the assignment that refers to it, and of two changes in one batch the pod
# that goes may be named before the pod that comes. Half a minute is longer than any batch takes.
LINGER = timedelta(seconds=30)
# Why a pod has no credentials yet that another agent of its node may hold already.
_COMING = (Reason.CREDENTIALS_PENDING, Reason.STS_UNREACHABLE)


class Tables:
    """All that one stream has said. Each change returns the addresses it may concern."""

    __slots__ = ("assignments", "awaiting", "claimants", "keys", "loose", "sessions", "users")

    def __init__(self) -> None:
        self.assignments: dict[PodUid, Assignment] = {}
        self.sessions: dict[SessionId, Session] = {}
        self.claimants: dict[Address, dict[PodUid, Assignment]] = {}
        self.users: dict[SessionId, set[PodUid]] = {}
        # Sessions without a user, and since when: the oldest first.
        self.loose: dict[SessionId, datetime] = {}
        self.keys: EndpointKeys | None = None
        # Pods whose credentials are still to come. Kept by each change, for each asks for it.
        self.awaiting: set[PodUid] = set()

    def upsert(self, assignment: Assignment, now: datetime) -> set[Address]:
        if self.assignments.get(assignment.uid) == assignment:
            return set()
        changed = self.remove(assignment.uid, now)
        self.assignments[assignment.uid] = assignment
        for address in _plain_addresses(assignment):
            self.claimants.setdefault(address, {})[assignment.uid] = assignment
            changed.add(address)
        if assignment.session_id is not None:
            self.users.setdefault(assignment.session_id, set()).add(assignment.uid)
            self.loose.pop(assignment.session_id, None)
        if self._awaits(assignment):
            self.awaiting.add(assignment.uid)
        return changed

    def remove(self, uid: PodUid, now: datetime) -> set[Address]:
        assignment = self.assignments.pop(uid, None)
        if assignment is None:
            return set()
        self.awaiting.discard(uid)
        changed = _plain_addresses(assignment)
        for address in changed:
            claimants = self.claimants[address]
            del claimants[uid]
            if not claimants:
                del self.claimants[address]
        self._release(assignment, now)
        return changed

    def renew(self, session: Session, now: datetime) -> set[Address]:
        users = self.users.get(session.id, ())
        if not users:
            # Also where it is not new: it was sent for a pod that is to be named next.
            self._loosen(session.id, now)
        if self.sessions.get(session.id) == session:
            return set()
        self._keep(session)
        return {address for uid in users for address in _plain_addresses(self.assignments[uid])}

    def session_of(self, assignment: Assignment) -> Session | None:
        return self.sessions.get(assignment.session_id) if assignment.session_id else None

    def inherit(self, old: "Tables") -> None:
        """Keep of *old* the claimed sessions that were not sent again; drop what nobody uses."""
        for session_id, session in old.sessions.items():
            if session_id in self.users and session_id not in self.sessions:
                self._keep(session)
        for session_id in self.loose:
            self.sessions.pop(session_id, None)
        self.loose.clear()
        self.keys = self.keys or old.keys

    def drop_loose(self, now: datetime) -> None:
        while self.loose:
            session_id, since = next(iter(self.loose.items()))
            if now - since < LINGER:
                return
            del self.loose[session_id]
            self.sessions.pop(session_id, None)

    def _loosen(self, session_id: SessionId, now: datetime) -> None:
        self.loose.pop(session_id, None)
        self.loose[session_id] = now

    def _keep(self, session: Session) -> None:
        self.sessions[session.id] = session
        for uid in self.users.get(session.id, ()):
            if not self._awaits(self.assignments[uid]):
                self.awaiting.discard(uid)

    def _awaits(self, assignment: Assignment) -> bool:
        if assignment.state is State.GRANTED:
            return self.session_of(assignment) is None
        return assignment.state is State.PENDING and assignment.reason in _COMING

    def _release(self, assignment: Assignment, now: datetime) -> None:
        session_id = assignment.session_id
        if session_id is None:
            return
        users = self.users[session_id]
        users.discard(assignment.uid)
        if not users:
            del self.users[session_id]
            self._loosen(session_id, now)


def _plain_addresses(assignment: Assignment) -> set[Address]:
    return {plain(address) for address in assignment.addresses}


def take(tables: Tables, update: Update, now: datetime) -> set[Address]:
    """Take in *update*; return the addresses it may concern."""
    match update:
        case AssignmentUpserted(assignment):
            return tables.upsert(assignment, now)
        case PodRemoved(uid):
            return tables.remove(uid, now)
        case SessionRenewed(session):
            return tables.renew(session, now)
        case EndpointKeys():
            tables.keys = update
            return set()
        case SnapshotEnd() | Heartbeat():
            return set()
        case _:
            assert_never(update)
