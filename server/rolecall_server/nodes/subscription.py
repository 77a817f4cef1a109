"""What is sent to one node: the newest state of its pods and sessions, computed when it asks."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rolecall_proto.values import (
    Assignment,
    AssignmentUpserted,
    EndpointKeys,
    NodeName,
    PodRemoved,
    PodUid,
    Session,
    SessionId,
    SessionRenewed,
    SnapshotEnd,
    State,
    Update,
)
from rolecall_server.nodes.held_sessions import HeldSessions


class View(Protocol):
    """The state that a subscription reads when it is asked; it keeps no copy of its own."""

    def pods_of(self, node: NodeName) -> Iterable[PodUid]: ...

    def assignment(self, uid: PodUid, subscription: "NodeSubscription") -> Assignment | None:
        """Return what the pod may have; None where it is not one of the node's."""
        ...

    def session(self, session_id: SessionId) -> Session | None:
        """Return the session where the server has its credentials."""
        ...

    def drop_held(self, session_id: SessionId, subscription: "NodeSubscription") -> None:
        """Note that the agent no longer holds a session that it had said it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who an agent is, what it says it holds, and what the endpoints of its node get."""

    node: NodeName
    version: str
    held: HeldSessions
    keys: EndpointKeys
    agent_pod: PodUid | None = None


class AgentHoldings:
    """What an agent holds by now, if it has read everything and drops what no pod of it uses."""

    def __init__(self) -> None:
        self.ends: dict[SessionId, datetime] = {}
        self._used: dict[PodUid, SessionId] = {}
        self._users: dict[SessionId, int] = {}

    def use(self, uid: PodUid, session_id: SessionId | None) -> None:
        """Note that the agent was sent that *uid* has *session_id*, or none."""
        before = self._used.get(uid)
        if before == session_id:
            return
        if session_id is not None:
            self._used[uid] = session_id
            self._users[session_id] = self._users.get(session_id, 0) + 1
        else:
            del self._used[uid]
        if before is not None:
            self._release(before)

    def drop_unused(self) -> None:
        self.ends = {each: end for each, end in self.ends.items() if each in self._users}

    def _release(self, session_id: SessionId) -> None:
        self._users[session_id] -= 1
        if not self._users[session_id]:
            del self._users[session_id]
            self.ends.pop(session_id, None)


class NodeSubscription:
    """What one agent is yet to be sent: the pods and sessions that have changed since `take`."""

    def __init__(self, subscriber: Subscriber, wake: Callable[[], None], view: View) -> None:
        self.node = subscriber.node
        self.version = subscriber.version
        # Which pods of the node need which session, and their namespaces; kept by the store.
        self.users: dict[SessionId, dict[PodUid, str]] = {}
        # What the agent says it holds; None once the snapshot says what it may keep.
        self.held: HeldSessions | None = subscriber.held
        self._wake = wake
        self._view = view
        self._keys = subscriber.keys
        self._keys_changed = False
        self._agent_pod = subscriber.agent_pod
        self._holdings = AgentHoldings()
        self._pods: dict[PodUid, None] = {}
        self._sessions: dict[SessionId, None] = {}
        self._open = True

    def __repr__(self) -> str:
        pending = "the snapshot is due" if self.held else f"{len(self._pods)} pods to send"
        return f"<NodeSubscription {self.node}: {pending if self._open else 'closed'}>"

    def take(self) -> list[Update]:
        """Return what the agent must be sent to be up to date; empty when it is.

        The first call returns the snapshot, `SnapshotEnd` last. Later calls return what has changed
        since the call before: of several changes to one pod or session only the last. A session
        always precedes an assignment that refers to it.
        """
        if not self._open:
            return []
        pods, sessions, keys = self._pods, self._sessions, self._keys_changed
        self._pods, self._sessions, self._keys_changed = {}, {}, False
        if self.held is not None:
            return self._snapshot()
        updates = [self._keys] if keys else []
        return [*updates, *self._renewed(sessions), *self._changed(pods)]

    def touch_pod(self, uid: PodUid) -> None:
        """Note that something about the pod has changed.

        Of the agent's own pod it wakes in any case: an agent that is stuck may have to end.
        """
        self._touch(always=uid == self._agent_pod)
        self._pods[uid] = None

    def change_keys(self, keys: EndpointKeys) -> None:
        """Note what the endpoints of the node get from now on."""
        self._touch()
        self._keys = keys
        self._keys_changed = True

    def touch_session(self, session_id: SessionId, *, state: bool) -> None:
        """Note a newer session, or, with *state*, that what its pods get has changed."""
        self._touch()
        if state:
            self._pods.update(dict.fromkeys(self.users.get(session_id, ())))
        else:
            self._sessions[session_id] = None

    def accept(self, session_id: SessionId, end: datetime) -> None:
        """Believe that the agent holds this session until *end*."""
        self._holdings.ends[session_id] = end

    def close(self) -> None:
        self._open = False
        self.users = {}

    def _touch(self, *, always: bool = False) -> None:
        # The first change since the last `take` wakes; the others find it awake.
        if self._open and (always or not (self._pods or self._sessions or self._keys_changed)):
            self._wake()

    def _snapshot(self) -> list[Update]:
        assignments = [
            assignment
            for uid in self._view.pods_of(self.node)
            if (assignment := self._view.assignment(uid, self)) is not None
        ]
        sessions = dict.fromkeys(each.session_id for each in assignments if each.session_id)
        updates: list[Update] = [self._keys]
        updates += [renewed for each in sessions for renewed in self._renewal(each)]
        for assignment in assignments:
            updates.append(AssignmentUpserted(assignment))
            self._holdings.use(assignment.uid, assignment.session_id)
        self._holdings.drop_unused()
        self.held = None
        return [*updates, SnapshotEnd()]

    def _renewed(self, sessions: Iterable[SessionId]) -> Iterable[Update]:
        for session_id in sessions:
            # Whoever does not hold it gets it with the first assignment that refers to it.
            if session_id in self._holdings.ends:
                yield from self._renewal(session_id)

    def _changed(self, pods: Iterable[PodUid]) -> list[Update]:
        found = [(uid, self._view.assignment(uid, self)) for uid in pods]
        # What comes to use a session is sent before what ceases to, so that the agent keeps it.
        found.sort(key=_order)
        return [update for uid, assignment in found for update in self._updates_of(uid, assignment)]

    def _updates_of(self, uid: PodUid, assignment: Assignment | None) -> Iterable[Update]:
        if assignment is None:
            self._holdings.use(uid, None)
            yield PodRemoved(uid)
            return
        if assignment.session_id is not None:
            yield from self._renewal(assignment.session_id)
            if assignment.session_id not in self._holdings.ends:
                # Two pods have swapped their roles, and the agent dropped what only it had.
                self._view.drop_held(assignment.session_id, self)
                assignment = self._view.assignment(uid, self) or assignment
        self._holdings.use(uid, assignment.session_id)
        yield AssignmentUpserted(assignment)

    def _renewal(self, session_id: SessionId) -> Iterable[Update]:
        session = self._view.session(session_id)
        if session is None:
            return
        end = session.credentials.expires_at
        held = self._holdings.ends.get(session_id)
        if held is None or held < end:
            self._holdings.ends[session_id] = end
            yield SessionRenewed(session)


# Of every node that is connected; several while an agent is replaced.
Subscriptions = dict[NodeName, list[NodeSubscription]]


def _order(found: tuple[PodUid, Assignment | None]) -> int:
    assignment = found[1]
    if assignment is None:
        return 2
    return 0 if assignment.state is State.GRANTED else 1
