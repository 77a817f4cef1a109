"""How fast STS may be asked in all, and in each account and region."""

from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from rolecall_server.credentials.rate_limiter import RateLimiter, RateLimits
from rolecall_server.model.identity import Identity

# Answers of the last two seconds: long enough to tell one account's limit from the caller's own.
WINDOW = timedelta(seconds=2)
# What is throttled in one account is that account's limit. Where a fifth of all answers are
# "slower", in two accounts or more, it is the limit of the server's own account.
SHARED_FROM = 0.2


class Scope(NamedTuple):
    """Where a call is counted by STS: the account of the role, and the region that is asked."""

    account: str
    region: str

    @classmethod
    def of(cls, identity: Identity) -> "Scope":
        """Return where calls for *identity* count; its role ARN is a parsed one."""
        return cls(identity.role_arn.split(":")[4], identity.region)


class CallRates:
    """Says whether one more call may start, in all and in a scope.

    A scope is asked as fast as all are, until STS says "slower" there: then it has a limiter of its
    own, until that one has recovered. So one account that is at its limit holds up no other.
    """

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._all = RateLimiter(limits)
        self._slowed: dict[Scope, RateLimiter] = {}
        self._answers: deque[tuple[datetime, Scope | None]] = deque()  # None: not throttled.
        self._throttled: Counter[Scope | None] = Counter()

    @property
    def calls_per_second(self) -> float:
        """The present rate of all calls together."""
        return self._all.calls_per_second

    @property
    def in_flight(self) -> int:
        return self._all.in_flight

    @property
    def slowed(self) -> int:
        """In how many accounts and regions STS has asked for fewer calls, and is given them."""
        return len(self._slowed)

    def is_open(self, now: datetime) -> bool:
        """Tell whether a call may start at *now*, in a scope that is open."""
        return self._all.is_open(now)

    def opens_at(self, now: datetime) -> datetime | None:
        """Return when a call may start, *now* at the earliest; None: once one is complete."""
        return self._all.opens_at(now)

    def open_scopes(self, now: datetime) -> Callable[[Scope], bool]:
        """Return what tells whether a call may start in a scope at *now*."""
        for scope in [each for each, limiter in self._slowed.items() if limiter.is_whole(now)]:
            del self._slowed[scope]
        return lambda scope: (it := self._slowed.get(scope)) is None or it.is_open(now)

    def scope_opens_at(self, scope: Scope, now: datetime) -> datetime:
        """Return when a call may start in *scope*, *now* at the earliest."""
        limiter = self._slowed.get(scope)
        return now if limiter is None else limiter.opens_at(now) or now

    def start(self, scope: Scope) -> None:
        """Count one call that starts; it is in flight until `complete`."""
        self._all.start()
        if (limiter := self._slowed.get(scope)) is not None:
            limiter.start()
            limiter.complete()  # How many are in flight is bounded for all together.

    def complete(self) -> None:
        self._all.complete()

    def succeed(self, now: datetime) -> None:
        """Take in that STS has answered, and not with "slower"."""
        self._note(None, now)

    def throttle(self, scope: Scope, now: datetime) -> None:
        """Take in that STS has said "slower" in *scope*."""
        self._note(scope, now)
        self._slowed.setdefault(scope, RateLimiter(self._limits)).throttle(now)
        throttled = self._throttled.total() - self._throttled[None]
        accounts = {each.account for each in self._throttled if each is not None}
        if len(accounts) > 1 and throttled >= SHARED_FROM * len(self._answers):
            self._all.throttle(now)

    def _note(self, scope: Scope | None, now: datetime) -> None:
        self._answers.append((now, scope))
        self._throttled[scope] += 1
        while abs(now - self._answers[0][0]) > WINDOW:
            _, gone = self._answers.popleft()
            self._throttled[gone] -= 1
            if not self._throttled[gone]:
                del self._throttled[gone]
