"""What there is for one identity: its session, its last failure, and who needs it."""

import random
from datetime import datetime, timedelta
from itertools import islice

from rolecall_proto.values import Reason, Session, State
from rolecall_server.credentials.call_rates import Scope
from rolecall_server.credentials.fair_lanes import NOBODYS, Place
from rolecall_server.credentials.queue import Entry, Urgency
from rolecall_server.credentials.retry import Failure
from rolecall_server.model import renewal_window
from rolecall_server.model.identity import Identity
from rolecall_server.nodes.subscription import NodeSubscription

# What is needed in more namespaces stands in the lanes of the first of them.
_MOST_LANES = 16


class IdentityState:
    """One identity's part of the store. It says when it is due; the planner acts on it."""

    __slots__ = (
        "_first_held_end",
        "_namespaces",
        "_renew_at",
        "_share",
        "failure",
        "held_by",
        "identity",
        "missing_since",
        "needed_by",
        "scope",
        "session",
        "waiting",
    )

    def __init__(self, identity: Identity, dice: random.Random) -> None:
        self.identity = identity
        self.session: Session | None = None
        self.failure: Failure | None = None
        # Ordered, as a set is not: a simulation must run the same way twice.
        self.needed_by: dict[NodeSubscription, None] = {}
        # The nodes that are served by what their agents said they hold, and until when.
        self.held_by: dict[NodeSubscription, datetime] = {}
        self.missing_since: datetime | None = None  # Since when it `is_missing`.
        self.waiting = False  # Whether a pod has asked meanwhile.
        self._namespaces: dict[str, int] = {}  # How many pods need it in each.
        self.scope = Scope.of(identity)
        self._first_held_end: datetime | None = None  # None of `held_by` ends before.
        self._renew_at: datetime | None = None
        self._share = dice.uniform(renewal_window.EARLIEST, renewal_window.LATEST)

    @property
    def is_missing(self) -> bool:
        """Whether a node needs it and has nothing."""
        return self.session is None and len(self.needed_by) > len(self.held_by)

    def status(self, subscription: NodeSubscription) -> tuple[State, Reason | None]:
        """Return what the pods of *subscription* get."""
        if self.session is not None or subscription in self.held_by:
            return State.GRANTED, None
        if self.failure is not None and self.failure.reason is not None:
            return State.FAILED, self.failure.reason
        if self.failure is not None and self.failure.unreachable:
            return State.PENDING, Reason.STS_UNREACHABLE
        return State.PENDING, Reason.CREDENTIALS_PENDING

    def served_until(self, subscription: NodeSubscription) -> datetime | None:
        """Return the true end of what the pods of *subscription* have; None where it is nothing."""
        if self.session is not None:
            return self.session.credentials.expires_at
        return self.held_by.get(subscription)

    def need(self, subscription: NodeSubscription, held_until: datetime | None) -> None:
        """Note that *subscription* has a pod with it, and holds it *held_until*, so it says."""
        self.needed_by[subscription] = None
        end = self.session.credentials.expires_at if self.session is not None else None
        if held_until is not None and (end is None or held_until > end):
            self.held_by[subscription] = held_until
            self._first_held_end = min(held_until, self._first_held_end or held_until)

    def release(self, subscription: NodeSubscription) -> None:
        """Note that *subscription* has no pod with it any more."""
        self.needed_by.pop(subscription, None)
        self.held_by.pop(subscription, None)

    def add_user(self, namespace: str) -> None:
        """Note that one more pod of *namespace* needs it, at one node."""
        self._namespaces[namespace] = self._namespaces.get(namespace, 0) + 1

    def remove_user(self, namespace: str) -> None:
        """Note that one pod of *namespace* fewer needs it."""
        self._namespaces[namespace] -= 1
        if not self._namespaces[namespace]:
            del self._namespaces[namespace]

    def note_missing(self, now: datetime) -> None:
        """Keep account of how long it has been missing."""
        if not self.is_missing:
            self.missing_since, self.waiting = None, False
        elif self.missing_since is None:
            self.missing_since = now

    def due_at(self, now: datetime) -> datetime:
        """Return when it is to be issued, or forgotten where nobody needs it by then.

        May be early where a node that held it has left: see `recount`.
        """
        return self.wanted_at(now) if self.failure is None else self.failure.retry_at

    def wanted_at(self, now: datetime) -> datetime:
        """Return when it would be due, had no call failed."""
        if self.is_missing:
            return self.missing_since or now
        return min(self._renewals(), default=now)

    def urgency(self) -> Urgency:
        if not self.is_missing:
            return Urgency.RENEWAL
        return Urgency.WAITING if self.waiting else Urgency.NEW

    def entry(self, now: datetime) -> Entry:
        """Return what the queue is to know of it."""
        urgency, end = self.urgency(), self.first_end()
        place = Place(tuple(islice(self._namespaces, _MOST_LANES)) or NOBODYS, self.scope)
        ending_at = None
        if urgency is Urgency.RENEWAL and end is not None:
            ending_at = end - renewal_window.ending(self.identity.duration)
        return Entry(self.due_at(now), urgency, self.missing_since or end or now, place, ending_at)

    def first_end(self) -> datetime | None:
        """Return when the first of what is held ends; None where nothing is held. May be early."""
        ends = [] if self._first_held_end is None else [self._first_held_end]
        if self.session is not None:
            ends.append(self.session.credentials.expires_at)
        return min(ends, default=None)

    def recount(self) -> None:
        """Find the first end of what is held anew. Looks at each, which joining need not."""
        self._first_held_end = min(self.held_by.values(), default=None)

    def renew(self, session: Session, now: datetime, dice: random.Random) -> None:
        """Take *session* in place of what there was, and of all that is held and ends before it."""
        end = session.credentials.expires_at
        self.session = session
        self.failure = None
        self.held_by = {each: until for each, until in self.held_by.items() if until > end}
        self.recount()
        self._share = dice.uniform(renewal_window.EARLIEST, renewal_window.LATEST)
        # By our own clock: whatever STS's says, the next call comes after some of what is left.
        self._renew_at = now + (end - now) * self._share

    def expire(self, now: datetime) -> list[NodeSubscription]:
        """Drop what has ended by *now*; return the subscriptions that have nothing left."""
        served = [each for each in self.needed_by if self.status(each)[0] is State.GRANTED]
        self.held_by = {each: end for each, end in self.held_by.items() if end > now}
        self.recount()
        if self.session is not None and self.session.credentials.expires_at <= now:
            self.session = None
        return [each for each in served if self.status(each)[0] is not State.GRANTED]

    def _renewals(self) -> list[datetime]:
        renewals: list[datetime] = []
        if self.held_by and self._first_held_end is not None:
            left: timedelta = self.identity.duration * (1 - self._share)
            renewals.append(self._first_held_end - left)
        # A session counts where somebody relies on it, or where nobody needs anything at all.
        relied_on = len(self.needed_by) > len(self.held_by) or not self.needed_by
        if self.session is not None and self._renew_at is not None and relied_on:
            renewals.append(self._renew_at)
        return renewals
