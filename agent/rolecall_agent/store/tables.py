"""The tables beneath the cache: pods by uid, pods by address, sessions by id, pods by session."""

from datetime import datetime, timedelta

from rolecall_proto.values import (
    Address,
    Assignment,
    EndpointKeys,
    PodUid,
    Session,
    SessionId,
    plain,
)

# A session comes before the assignment that refers to it, and of two changes in one batch the pod
# that goes may be named before the pod that comes. Half a minute is longer than any batch takes.
LINGER = timedelta(seconds=30)


class Tables:
    """All that one stream has said. Each change returns the addresses it may concern."""

    __slots__ = ("assignments", "claimants", "keys", "loose", "sessions", "users")

    def __init__(self) -> None:
        self.assignments: dict[PodUid, Assignment] = {}
        self.sessions: dict[SessionId, Session] = {}
        self.claimants: dict[Address, dict[PodUid, Assignment]] = {}
        self.users: dict[SessionId, set[PodUid]] = {}
        self.loose: dict[SessionId, datetime] = {}  # Sessions without a user, and since when.
        self.keys: EndpointKeys | None = None

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
        return changed

    def remove(self, uid: PodUid, now: datetime) -> set[Address]:
        assignment = self.assignments.pop(uid, None)
        if assignment is None:
            return set()
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
            self.loose[session.id] = now
        if self.sessions.get(session.id) == session:
            return set()
        self.sessions[session.id] = session
        return {address for uid in users for address in _plain_addresses(self.assignments[uid])}

    def session_of(self, assignment: Assignment) -> Session | None:
        return self.sessions.get(assignment.session_id) if assignment.session_id else None

    def inherit(self, old: "Tables") -> None:
        """Keep of *old* the claimed sessions that were not sent again; drop what nobody uses."""
        for session_id, session in old.sessions.items():
            if session_id in self.users:
                self.sessions.setdefault(session_id, session)
        for session_id in self.loose:
            self.sessions.pop(session_id, None)
        self.loose.clear()
        self.keys = self.keys or old.keys

    def drop_loose(self, now: datetime) -> None:
        if not self.loose:
            return
        for session_id in [each for each, since in self.loose.items() if now - since >= LINGER]:
            del self.loose[session_id]
            self.sessions.pop(session_id, None)

    def _release(self, assignment: Assignment, now: datetime) -> None:
        session_id = assignment.session_id
        if session_id is None:
            return
        users = self.users[session_id]
        users.discard(assignment.uid)
        if not users:
            del self.users[session_id]
            self.loose[session_id] = now


def _plain_addresses(assignment: Assignment) -> set[Address]:
    return {plain(address) for address in assignment.addresses}
