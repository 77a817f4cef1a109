"""The sessions of every identity: who needs which, and what becomes of STS's answers."""

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rolecall_proto.values import PodUid, Reason, Session, SessionId, State
from rolecall_server.credentials.call_rates import CallRates
from rolecall_server.credentials.circuit_breaker import CircuitBreaker
from rolecall_server.credentials.identity_state import IdentityState
from rolecall_server.credentials.planner import Planner
from rolecall_server.credentials.retry import Refusal, failure_after
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import Issued, IssueError, ThrottledError, UnavailableError
from rolecall_server.model.pods import Pod
from rolecall_server.model.renewal_window import shortest_plausible
from rolecall_server.nodes.subscription import NodeSubscription
from rolecall_server.telemetry.journal import Journal


@dataclass(frozen=True, slots=True)
class SessionRules:
    """*reported_early*: how long before their true end pods see credentials end.

    With *allow_short* a session of any length is taken, as tests want it that wait for its end.
    """

    reported_early: timedelta
    allow_short: bool = False

    def is_plausible(self, left: timedelta, identity: Identity) -> bool:
        """Tell whether a new session of *identity* may end so soon."""
        shortest = timedelta() if self.allow_short else shortest_plausible(identity.duration)
        return left > timedelta() and left >= shortest


class CredentialStore:
    """Keeps a session for each identity that a connected node needs."""

    def __init__(
        self,
        rates: CallRates,
        rules: SessionRules,
        dice: random.Random,
        journal: Journal,
        wake: Callable[[], None],
    ) -> None:
        self.states: dict[SessionId, IdentityState] = {}
        self.planner = Planner(self.states, rates, CircuitBreaker(dice), wake)
        self.held_sessions_restored = 0
        self._rules = rules
        self._dice = dice
        self._journal = journal

    def need(
        self,
        identity: Identity,
        pod: Pod,
        subscription: NodeSubscription,
        now: datetime,
        *,
        new: bool,
    ) -> None:
        """Note that *pod*, of *subscription*, needs *identity*; *new*: it did not before."""
        session_id = identity.session_id
        state = self.states.get(session_id)
        if state is None:
            state = self.states[session_id] = IdentityState(identity, self._dice)
        self.planner.reclaim(session_id)
        if session_id not in subscription.users:
            subscription.users[session_id] = {}
            self._join(state, subscription)
        if pod.uid not in subscription.users[session_id]:
            subscription.users[session_id][pod.uid] = pod.namespace
            state.add_user(pod.namespace)
        if new and state.failure is not None:
            state.failure = state.failure.pulled_forward(now)
        self.planner.plan(state, now)

    def release(
        self, session_id: SessionId, uid: PodUid, subscription: NodeSubscription, now: datetime
    ) -> None:
        """Note that the pod no longer needs it; nothing happens where it did not."""
        users = subscription.users.get(session_id)
        if users is None:
            return
        if (namespace := users.pop(uid, None)) is not None:
            self.states[session_id].remove_user(namespace)
        if not users:
            del subscription.users[session_id]
            self._leave(session_id, subscription, now)

    def release_all(self, subscription: NodeSubscription, now: datetime) -> None:
        """Note that the subscription is over."""
        for session_id, users in subscription.users.items():
            for namespace in users.values():
                self.states[session_id].remove_user(namespace)
            self._leave(session_id, subscription, now)
        subscription.users.clear()

    def drop_held(self, session_id: SessionId, subscription: NodeSubscription) -> None:
        """Note that the agent of *subscription* holds no longer what it had said it holds."""
        state = self.states[session_id]
        state.held_by.pop(subscription, None)
        self.planner.replan(state)

    def prioritise(self, session_id: SessionId, now: datetime) -> None:
        """Note that a pod waits for it."""
        state = self.states.get(session_id)
        if state is not None and state.is_missing and not state.waiting:
            state.waiting = True
            self.planner.plan(state, now)

    def status(
        self, session_id: SessionId, subscription: NodeSubscription
    ) -> tuple[State, Reason | None]:
        return self.states[session_id].status(subscription)

    def session(self, session_id: SessionId) -> Session | None:
        state = self.states.get(session_id)
        return None if state is None else state.session

    def refusal(self, session_id: SessionId, subscription: NodeSubscription) -> Refusal | None:
        """Return why STS refuses it, and until when pods of *subscription* have it all the same."""
        state = self.states[session_id]
        if state.failure is None or state.failure.reason is None:
            return None
        until = state.served_until(subscription)
        return Refusal(state.failure.reason, state.failure.explanation, until)

    def users(self, session_id: SessionId) -> Iterator[PodUid]:
        """Yield the pods of connected nodes that need it."""
        for subscription in self.states[session_id].needed_by:
            yield from subscription.users[session_id]

    def issued(self, identity: Identity, issued: Issued, now: datetime) -> None:
        """Take in what STS gave, and give it to every node that needs it."""
        credentials = issued.credentials
        left = credentials.expires_at - now
        if not self._rules.is_plausible(left, identity):
            # Taken as it is, it would be asked for again at once, and again.
            minutes = left / timedelta(minutes=1)
            why = f"STS gave credentials that end in {minutes:.1f} minutes; is a clock wrong?"
            self._failed(identity, UnavailableError(why), now, answered=True)
            return
        state = self.states[identity.session_id]
        cause, due_at = self.planner.complete(identity.session_id)
        end = credentials.expires_at - self._rules.reported_early
        session = Session(identity.session_id, credentials, reported_until=end)
        self.planner.rates.succeed(now)
        self.planner.breaker.close()
        with _notified_of_changes(state):
            state.renew(session, now, self._dice)
        for subscription in state.needed_by:
            subscription.touch_session(session.id, state=False)
        self.planner.plan(state, now)
        self._journal.issued(identity, issued, cause, max(now - due_at, timedelta()))

    def failed(self, identity: Identity, error: IssueError, now: datetime) -> None:
        """Note that STS gave nothing; it is asked again when the error allows."""
        self._failed(identity, error, now, answered=not isinstance(error, UnavailableError))

    def _failed(
        self, identity: Identity, error: IssueError, now: datetime, *, answered: bool
    ) -> None:
        state = self.states[identity.session_id]
        self.planner.complete(identity.session_id)
        if isinstance(error, ThrottledError):
            self.planner.rates.throttle(state.scope, now)
        breaker = self.planner.breaker
        if answered:
            breaker.close()
        else:
            breaker.fail(identity.session_id, len(self.states), now)
        with _notified_of_changes(state):
            state.failure = failure_after(state.failure, error, now, self._dice)
            if breaker.is_open:
                state.failure = replace(state.failure, retry_at=now)
        self.planner.plan(state, now)
        self._journal.failed(identity, error)

    def _join(self, state: IdentityState, subscription: NodeSubscription) -> None:
        identity, held = state.identity, subscription.held
        held_until = held.until(identity) if held is not None else None
        if held_until is not None:
            subscription.accept(identity.session_id, held_until)
            self.held_sessions_restored += 1
        state.need(subscription, held_until)

    def _leave(self, session_id: SessionId, subscription: NodeSubscription, now: datetime) -> None:
        state = self.states[session_id]
        state.release(subscription)
        self.planner.plan(state, now)
        if not state.needed_by:
            self.planner.retain(session_id)


@contextlib.contextmanager
def _notified_of_changes(state: IdentityState) -> Iterator[None]:
    """Have each subscription notice for whose pods the block changes something."""
    before = {each: state.status(each) for each in state.needed_by}
    yield
    for subscription, status in before.items():
        if state.status(subscription) != status:
            subscription.touch_session(state.identity.session_id, state=True)
