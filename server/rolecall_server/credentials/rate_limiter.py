"""How fast STS may be asked: a token bucket that gives way when STS asks for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

# A rate that was halved is back to the whole after at most this long: long enough not to run
# into the same wall again at once, short against half an hour between two renewals.
RECOVERY = timedelta(minutes=1)
# A burst of refusals is one message, not many: it halves the rate once.
HALVING_PAUSE = timedelta(seconds=1)
# However often STS says "slower", one call in a second tells whether it still does.
SLOWEST = 1.0


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How many calls may start, and how many may be in flight.

    AWS publishes no quota for AssumeRole that one could rely on in every region; the defaults stay
    below what accounts are known to have, and a throttled rate finds its own level.
    """

    calls_per_second: float = 100.0
    burst: int = 300
    concurrency: int = 256  # Calls in flight at once.


class RateLimiter:
    """Says whether one more call may start, and when it may."""

    def __init__(self, limits: RateLimits) -> None:
        """Refuse, by ValueError, limits under which nothing could ever be called."""
        if limits.calls_per_second <= 0 or limits.burst < 1 or limits.concurrency < 1:
            raise ValueError(f"a rate limiter needs positive limits, not {limits}")
        self._limits = limits
        self._tokens = float(limits.burst)
        self._rate = limits.calls_per_second
        self._halved: datetime | None = None
        self._counted: datetime | None = None  # Up to when tokens and rate are accounted for.
        self.in_flight = 0

    @property
    def calls_per_second(self) -> float:
        """The present rate: below the limit for a while after STS asked for it."""
        return self._rate

    def is_whole(self, now: datetime) -> bool:
        """Tell whether nothing is left of what STS has asked for."""
        self._count(now)
        return self._rate >= self._limits.calls_per_second and self._tokens >= self._limits.burst

    def is_open(self, now: datetime) -> bool:
        """Tell whether a call may start at *now*."""
        self._count(now)
        return self.in_flight < self._limits.concurrency and self._tokens >= 1

    def opens_at(self, now: datetime) -> datetime | None:
        """Return when a call may start, *now* at the earliest; None: once one is complete."""
        self._count(now)
        if self.in_flight >= self._limits.concurrency:
            return None
        if self._tokens >= 1:
            return now
        # A microsecond more than the arithmetic says, so that rounding never wakes anyone early.
        return now + timedelta(seconds=(1 - self._tokens) / self._rate, microseconds=1)

    def start(self) -> None:
        """Count one call that starts; it is in flight until `complete`."""
        self._tokens -= 1
        self.in_flight += 1

    def complete(self) -> None:
        self.in_flight -= 1

    def throttle(self, now: datetime) -> None:
        """STS asked everyone to slow down: halve the rate, and let nothing go at once."""
        self._count(now)
        self._tokens = 0.0
        if self._halved is None or now - self._halved >= HALVING_PAUSE or now < self._halved:
            self._halved = now
            self._rate = max(min(SLOWEST, self._limits.calls_per_second), self._rate / 2)

    def _count(self, now: datetime) -> None:
        # A clock that was set back must not close the limiter until it has caught up again.
        elapsed = max(0.0, (now - (self._counted or now)).total_seconds())
        self._counted = now
        whole = self._limits.calls_per_second
        before = self._rate
        self._rate = min(whole, before + whole * elapsed / RECOVERY.total_seconds())
        # The bucket shrinks with the rate, or the first full one would undo the halving.
        most = max(1.0, self._limits.burst * self._rate / whole)
        self._tokens = min(most, self._tokens + elapsed * (before + self._rate) / 2)
