"""What this node holds: its pods, their credentials, and which address stands for which pod.

A stream opens with a snapshot. Until its end the contents of the last stream are served on; then
the new ones take their place in one step, and what they do not name is gone.
"""

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

from rolecall_agent.store.grants import Grants
from rolecall_agent.store.standing import (
    REWRITTEN,
    UNCONFIRMED,
    UNKNOWN,
    AddressStanding,
    Granted,
    Refused,
    Standing,
    Unconfirmed,
    Unknown,
    Unwitnessed,
    Waiting,
)
from rolecall_agent.store.tables import Tables, take
from rolecall_agent.witness.observation import Doubt, Holder, Holders
from rolecall_proto.values import (
    Address,
    Assignment,
    EndpointKeys,
    Held,
    PodUid,
    Reason,
    Session,
    SessionId,
    SnapshotEnd,
    State,
    Update,
    plain,
)

# By names of their own: see `http/connection_state.py`.
_GRANTED: Final = State.GRANTED
_ACCEPTED, _SUSPENDED, _UNWITNESSED = Doubt.ACCEPTED, Doubt.SUSPENDED, Doubt.UNWITNESSED
_NO_SESSION = SessionId("")
NOTHING: frozenset[Address] = frozenset()


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the cache holds, for metrics and health."""

    pods: Mapping[tuple[State, Reason | None], int]
    sessions: int
    # Granted by the server, and the credentials never came or have ended.
    missing: int
    # How long the first session to end still lives, as pods are told; None without any.
    least_remaining: timedelta | None
    ending: Mapping[timedelta, int]  # Sessions whose reported end is nearer than the key.
    snapshot_at: datetime | None  # The end of the last whole snapshot.


NEAR_ENDS = (timedelta(minutes=5), timedelta(minutes=10))  # An SDK's last-second and safe margins.


class Cache:
    """Everything that the server has told this node. No I/O, no clock."""

    def __init__(
        self,
        holders: Holders | None = None,
        node_addresses: Container[object] = (),
    ) -> None:
        """*holders* says whom the kernel vouches for; None where it is not asked.

        *node_addresses* are those that no pod can have.
        """
        self._holders = holders
        self._node_addresses = node_addresses
        self._live = Tables()
        self._staged: Tables | None = Tables()
        self._snapshot_at: datetime | None = None
        self._grants = Grants(holders if holders is not None else Holders())
        # Counts the changes of what is served: equal numbers, equal answers (time's passing apart).
        self.generation = 0

    @property
    def synced(self) -> bool:
        """Whether a whole snapshot has been seen since the start."""
        return self._snapshot_at is not None

    @property
    def keys(self) -> EndpointKeys | None:
        """What the endpoints check proofs with; None before the first snapshot."""
        return self._live.keys

    @property
    def awaits_credentials(self) -> bool:
        """Whether a pod has none yet that another agent of this node may hold already."""
        return bool(self._live.awaiting)

    def begin(self) -> None:
        """Open a stream: a snapshot comes next. A half one of the stream before is dropped."""
        self._staged = Tables()

    def apply(self, update: Update, now: datetime) -> frozenset[Address]:
        """Take in *update*; return the addresses whose answer may be another one now.

        Before the end of a snapshot nothing changes. A session that no assignment refers to any
        more is not served and not claimed, and forgotten half a minute later.
        """
        if self._staged is not None:
            return self._stage(self._staged, update, now)
        changed = take(self._live, update, now)
        self._live.drop_loose(now)
        if changed or isinstance(update, EndpointKeys):
            self._change()
        return frozenset(changed)

    def held(self, now: datetime) -> tuple[Held, ...]:
        """Return the claims for the next stream: what pods use, and what has not ended."""
        live = self._live
        return tuple(
            Held(session.id, session.credentials.expires_at)
            for session in live.sessions.values()
            if live.users.get(session.id) and now < session.credentials.expires_at
        )

    def standing(self, address: Address, now: datetime) -> AddressStanding:
        """Return what the pod at *address* gets at *now*."""
        granted = self._grants.find(address, now)
        if granted is not None:
            return granted
        standing = self._standing_at(address, now)
        if isinstance(standing, Granted):
            self._grants.add(address, standing)
        return standing

    def _standing_at(self, address: Address, now: datetime) -> AddressStanding:
        claimants = self._live.claimants.get(address)
        if not claimants:
            other = plain(address)
            if other is not address:
                return self._standing_at(other, now)
            return REWRITTEN if address in self._node_addresses else UNKNOWN
        for assignment in claimants.values():
            if assignment.host_network:
                return Refused(assignment)  # The address is the node's own.
        meant = self._meant(address, claimants)
        return self._standing_of(meant, now) if isinstance(meant, Assignment) else meant

    def claims(self, address: Address) -> Mapping[PodUid, datetime | None]:
        """Return the pods that have *address* as the server says, and when each last started.

        Of an address that a pod of the node's own network has nothing is asked.
        """
        claimants = self._live.claimants.get(address, {})
        if any(assignment.host_network for assignment in claimants.values()):
            return {}
        return {uid: assignment.started_at for uid, assignment in claimants.items()}

    def holders_changed(self) -> None:
        """Note that the kernel vouches for others than before: answers may be others."""
        self._change()

    def standing_of_pod(self, uid: PodUid, now: datetime) -> Standing:
        """Return what the pod *uid* gets at *now*, where something else than its address proves it.

        The pods of the node's own network are pods like others then.
        """
        assignment = self._live.assignments.get(uid)
        return UNKNOWN if assignment is None else self._standing_of(assignment, now)

    def holds(self, session: Session) -> bool:
        """Whether this very session is held: none that came after it, and it is not gone."""
        return self._live.sessions.get(session.id) is session

    def users_of(self, session_id: SessionId) -> frozenset[PodUid]:
        """Return the pods that this session is for."""
        return frozenset(self._live.users.get(session_id, ()))

    def statistics(self, now: datetime) -> Statistics:
        """Count what is held. Walks everything: for a scrape, not for a request."""
        live = self._live
        assignments = live.assignments.values()
        standings = [self._standing_of(each, now) for each in assignments]
        lives = [session.reported_until - now for session in live.sessions.values()]
        return Statistics(
            pods=Counter((each.state, each.reason) for each in assignments),
            sessions=len(live.sessions),
            missing=sum(
                isinstance(standing, Waiting) and standing.assignment.state is State.GRANTED
                for standing in standings
            ),
            least_remaining=min(lives, default=None),
            ending={near: sum(left < near for left in lives) for near in NEAR_ENDS},
            snapshot_at=self._snapshot_at,
        )

    def _meant(
        self, address: Address, claimants: Mapping[PodUid, Assignment]
    ) -> Assignment | Unknown | Unconfirmed | Unwitnessed:
        """Return which of *claimants* the address stands for."""
        holder: Holder = _ACCEPTED
        if self._holders is not None:
            holder = self._holders.get(address, _SUSPENDED)
        if holder is _ACCEPTED:
            return next(iter(claimants.values())) if len(claimants) == 1 else UNKNOWN
        if holder is _UNWITNESSED:
            return Unwitnessed(next(iter(claimants.values())))
        return UNCONFIRMED if isinstance(holder, Doubt) else claimants.get(holder, UNCONFIRMED)

    def _standing_of(self, assignment: Assignment, now: datetime) -> Standing:
        if assignment.state is _GRANTED:
            session = self._live.sessions.get(assignment.session_id or _NO_SESSION)
            if session is None or now >= session.credentials.expires_at:
                return Waiting(assignment, Reason.CREDENTIALS_PENDING)
            return Granted(assignment, session)
        match assignment.state:
            case State.PENDING:
                return Waiting(assignment, assignment.reason or Reason.CREDENTIALS_PENDING)
            case State.DENIED | State.FAILED:
                return Refused(assignment)
            case _:
                assert_never(assignment.state)

    def _change(self) -> None:
        self.generation += 1
        self._grants.clear()

    def _stage(self, staged: Tables, update: Update, now: datetime) -> frozenset[Address]:
        if not isinstance(update, SnapshotEnd):
            take(staged, update, now)
            return NOTHING
        old, self._live, self._staged = self._live, staged, None
        self._live.inherit(old)
        self._snapshot_at = now
        self._change()
        return frozenset(old.claimants.keys() | staged.claimants.keys())
