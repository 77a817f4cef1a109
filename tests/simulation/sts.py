"""STS: it takes a while, has bad days, and remembers for whom each access key was made."""

from collections.abc import Callable
from datetime import datetime, timedelta

from rolecall_common.secret import Secret
from rolecall_proto.values import Credentials, Reason, SessionId
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import (
    Issued,
    IssueError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from simulation.timeline import Timeline
from simulation.violations import ONE_CALL, ViolationError

# No session is renewed before this share of its life (contract §7), so no call comes sooner.
EARLIEST_RENEWAL = 0.40
FIRST_RETRY_AFTER_REFUSAL = timedelta(seconds=2)

Answer = Callable[[Issued | IssueError], None]


class Sts:
    """Answers calls in virtual time, and checks that nobody calls more than is due."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.down_until = timeline.now
        self.throttles_until = timeline.now
        self.refuses_until: dict[str, datetime] = {}  # By role ARN.
        self.owners: dict[str, Identity] = {}  # By access key id.
        self.calls = 0
        self._in_flight: set[tuple[int, SessionId]] = set()
        self._not_before: dict[tuple[int, SessionId], datetime] = {}

    def call(self, caller: int, identity: Identity, answer: Answer) -> None:
        """Take a call of *caller*, one life of one server."""
        self.calls += 1
        key = (caller, identity.session_id)
        self._check(key, identity)
        self._in_flight.add(key)
        result = self._result(identity)
        self._timeline.after(self._latency(result), lambda: self._answer(key, result, answer))

    def _check(self, key: tuple[int, SessionId], identity: Identity) -> None:
        if key in self._in_flight:
            raise ViolationError(ONE_CALL, f"two at once for {identity.role_arn}")
        early = self._not_before.get(key, self._timeline.now) - self._timeline.now
        if early > timedelta():
            raise ViolationError(ONE_CALL, f"{early} too early for {identity.role_arn}")

    def _result(self, identity: Identity) -> Issued | IssueError:
        now, dice = self._timeline.now, self._timeline.dice
        if now < self.down_until:
            return UnavailableError("no route")
        if now < self.refuses_until.get(identity.role_arn, now):
            return RefusedError(Reason.ACCESS_DENIED, "the role does not trust us")
        if now < self.throttles_until and dice.random() < 0.5:
            return ThrottledError("slower")
        key = f"ASIA{self.calls:016}"
        self.owners[key] = identity
        credentials = Credentials(key, Secret("s"), Secret("t"), now, now + identity.duration)
        return Issued(credentials, request_id=f"request-{self.calls}")

    def _latency(self, result: Issued | IssueError) -> float:
        if isinstance(result, UnavailableError):
            return self._timeline.dice.choice((0.01, 10.0))  # Refused at once, or a time-out.
        return self._timeline.dice.uniform(0.05, 0.5)

    def _answer(
        self, key: tuple[int, SessionId], result: Issued | IssueError, answer: Answer
    ) -> None:
        self._in_flight.discard(key)
        now = self._timeline.now
        if isinstance(result, Issued):
            life = result.credentials.expires_at - now
            self._not_before[key] = now + life * EARLIEST_RENEWAL
        elif isinstance(result, RefusedError):
            self._not_before[key] = now + FIRST_RETRY_AFTER_REFUSAL
        answer(result)
