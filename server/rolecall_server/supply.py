"""What there is for one identity: its session, its last failure, and which connections need it."""

import random
from datetime import datetime, timedelta

from rolecall_proto.values import Reason, Session, State
from rolecall_server.fanout import Connection
from rolecall_server.identity import Identity
from rolecall_server.retries import Setback
from rolecall_server.schedule import Urgency

# Renewal falls between these shares of a session's life. Early enough that an outage of STS of half
# an hour is no outage of pods, apart enough that sessions of one minute do not stay together.
EARLIEST_RENEWAL, LATEST_RENEWAL = 0.40, 0.48


class Supply:
    """One identity's part of the engine. It decides by what it is told; it plans nothing itself."""

    __slots__ = (
        "claims",
        "identity",
        "missed_since",
        "needed_by",
        "renewal_share",
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
        self.missed_since: datetime | None = None
        self.waiting = False
        self.draw(dice)

    def draw(self, dice: random.Random) -> None:
        """Draw the point of life at which the next session is renewed."""
        self.renewal_share = dice.uniform(EARLIEST_RENEWAL, LATEST_RENEWAL)

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

    def due_at(self, now: datetime) -> datetime:
        """Return when it is to be issued, or forgotten where nobody needs it by then."""
        if self.setback is not None:
            return self.setback.again_at
        if self.is_missed:
            return self.missed_since or now
        return min(self._renewals(), default=now)

    def urgency(self) -> Urgency:
        if not self.is_missed:
            return Urgency.RENEWAL
        return Urgency.WAITING if self.waiting else Urgency.NEW

    def first_end(self) -> datetime | None:
        """Return when the first of what is held ends; None where nothing is held."""
        ends = list(self.claims.values())
        if self.session is not None:
            ends.append(self.session.credentials.expires_at)
        return min(ends, default=None)

    def renew(self, session: Session) -> None:
        """Take *session* in place of what there was, and of every claim that it outlives."""
        self.session = session
        self.setback = None
        self.missed_since = None
        self.waiting = False
        end = session.credentials.expires_at
        self.claims = {each: claimed for each, claimed in self.claims.items() if claimed > end}

    def lapse(self, now: datetime) -> list[Connection]:
        """Drop what has ended by *now*; return the connections that have nothing left."""
        before = {each for each in self.needed_by if self.standing(each)[0] is State.GRANTED}
        self.claims = {each: end for each, end in self.claims.items() if end > now}
        if self.session is not None and self.session.credentials.expires_at <= now:
            self.session = None
        return [
            each
            for each in self.needed_by
            if each in before and self.standing(each)[0] is not State.GRANTED
        ]

    def _renewals(self) -> list[datetime]:
        renewals = [self._renewal_of_claim(end) for end in self.claims.values()]
        # A session counts where somebody relies on it, or where nobody needs anything at all.
        if self.session is not None and (len(self.needed_by) > len(self.claims) or not renewals):
            renewals.append(self._renewal_of(self.session))
        return renewals

    def _renewal_of(self, session: Session) -> datetime:
        life = session.credentials.expires_at - session.credentials.issued_at
        return session.credentials.issued_at + life * self.renewal_share

    def _renewal_of_claim(self, end: datetime) -> datetime:
        left: timedelta = self.identity.duration * (1 - self.renewal_share)
        return end - left
