"""What there is for one identity: its session, its last failure, and which connections need it."""

import random
from datetime import datetime, timedelta

from rolecall_proto.values import Reason, Session, State
from rolecall_server.credentials.queue import Urgency
from rolecall_server.credentials.retry import Setback
from rolecall_server.model import renewal_window
from rolecall_server.model.identity import Identity
from rolecall_server.nodes.subscription import Connection


class Supply:
    """One identity's part of the engine. It decides by what it is told; it plans nothing itself."""

    __slots__ = (
        "_first_claim",
        "_renew_at",
        "_share",
        "claims",
        "identity",
        "missed_since",
        "needed_by",
        "session",
        "setback",
        "waiting",
    )

    def __init__(self, identity: Identity, dice: random.Random) -> None:
        self.identity = identity
        self.session: Session | None = None
        self.setback: Setback | None = None
        # Ordered, as a set is not: a simulation must run the same way twice.
        self.needed_by: dict[Connection, None] = {}
        # The connections that are served by what they said they hold, and until when.
        self.claims: dict[Connection, datetime] = {}
        self.missed_since: datetime | None = None  # Since when it `is_missed`.
        self.waiting = False  # Whether a pod has asked meanwhile.
        self._first_claim: datetime | None = None  # No claim ends before.
        self._renew_at: datetime | None = None
        self._share = dice.uniform(renewal_window.EARLIEST, renewal_window.LATEST)

    @property
    def is_missed(self) -> bool:
        """Whether a node needs it and has nothing."""
        return self.session is None and len(self.needed_by) > len(self.claims)

    def standing(self, connection: Connection) -> tuple[State, Reason | None]:
        """Return what the pods of *connection* get."""
        if self.session is not None or connection in self.claims:
            return State.GRANTED, None
        if self.setback is not None and self.setback.reason is not None:
            return State.FAILED, self.setback.reason
        if self.setback is not None and self.setback.unreachable:
            return State.PENDING, Reason.STS_UNREACHABLE
        return State.PENDING, Reason.CREDENTIALS_PENDING

    def need(self, connection: Connection, claimed: datetime | None) -> None:
        """Note that *connection* has a pod with it, and holds it until *claimed*, so it says."""
        self.needed_by[connection] = None
        end = self.session.credentials.expires_at if self.session is not None else None
        if claimed is not None and (end is None or claimed > end):
            self.claims[connection] = claimed
            self._first_claim = min(claimed, self._first_claim or claimed)

    def release(self, connection: Connection) -> None:
        """Note that *connection* has no pod with it any more."""
        self.needed_by.pop(connection, None)
        self.claims.pop(connection, None)

    def note_missing(self, now: datetime) -> None:
        """Keep account of how long it has been missed."""
        if not self.is_missed:
            self.missed_since, self.waiting = None, False
        elif self.missed_since is None:
            self.missed_since = now

    def due_at(self, now: datetime) -> datetime:
        """Return when it is to be issued, or forgotten where nobody needs it by then.

        May be early where a connection with a claim has left: see `recount`.
        """
        return self.wanted_at(now) if self.setback is None else self.setback.again_at

    def wanted_at(self, now: datetime) -> datetime:
        """Return when it would be due, had no call failed."""
        if self.is_missed:
            return self.missed_since or now
        return min(self._renewals(), default=now)

    def urgency(self) -> Urgency:
        if not self.is_missed:
            return Urgency.RENEWAL
        return Urgency.WAITING if self.waiting else Urgency.NEW

    def first_end(self) -> datetime | None:
        """Return when the first of what is held ends; None where nothing is held. May be early."""
        ends = [] if self._first_claim is None else [self._first_claim]
        if self.session is not None:
            ends.append(self.session.credentials.expires_at)
        return min(ends, default=None)

    def recount(self) -> None:
        """Find the first claim anew. Looks at each, which those who come and go need not."""
        self._first_claim = min(self.claims.values(), default=None)

    def renew(self, session: Session, now: datetime, dice: random.Random) -> None:
        """Take *session* in place of what there was, and of every claim that it outlives."""
        end = session.credentials.expires_at
        self.session = session
        self.setback = None
        self.claims = {each: claimed for each, claimed in self.claims.items() if claimed > end}
        self.recount()
        self._share = dice.uniform(renewal_window.EARLIEST, renewal_window.LATEST)
        # By our own clock: whatever STS's says, the next call comes after some of what is left.
        self._renew_at = now + (end - now) * self._share

    def lapse(self, now: datetime) -> list[Connection]:
        """Drop what has ended by *now*; return the connections that have nothing left."""
        served = [each for each in self.needed_by if self.standing(each)[0] is State.GRANTED]
        self.claims = {each: end for each, end in self.claims.items() if end > now}
        self.recount()
        if self.session is not None and self.session.credentials.expires_at <= now:
            self.session = None
        return [each for each in served if self.standing(each)[0] is not State.GRANTED]

    def _renewals(self) -> list[datetime]:
        renewals: list[datetime] = []
        if self.claims and self._first_claim is not None:
            left: timedelta = self.identity.duration * (1 - self._share)
            renewals.append(self._first_claim - left)
        # A session counts where somebody relies on it, or where nobody needs anything at all.
        relied_on = len(self.needed_by) > len(self.claims) or not self.needed_by
        if self.session is not None and self._renew_at is not None and relied_on:
            renewals.append(self._renew_at)
        return renewals
