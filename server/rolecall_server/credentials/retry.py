"""When STS is asked again for what it did not give, by the kind of error (contract §7)."""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rolecall_common.backoff import Backoff
from rolecall_proto.values import Reason
from rolecall_server.model.issuer import IssueError, RefusedError, ThrottledError

# A role may be seconds old, and IAM's own copies take about that long to agree.
_FIRST_REFUSALS = (2, 5, 10, 30)
_LONGEST_AFTER_REFUSAL = timedelta(minutes=10)
# A pod that is new may hope that somebody has changed something; a crash loop may not hope often.
PULL_FORWARD_PAUSE = timedelta(seconds=5)
_UNAVAILABLE = Backoff(timedelta(seconds=0.2), timedelta(seconds=30))
# Besides the limits of its account: one that is throttled again and again makes room for others.
_THROTTLED = Backoff(timedelta(seconds=0.5), timedelta(seconds=30))


@dataclass(frozen=True, slots=True)
class Failure:
    """An identity's last call failed: how, how often in a row, and when to try again."""

    retry_at: datetime
    failed_at: datetime
    in_a_row: int  # Failures of the same kind.
    # Set where STS said no; None where it said nothing, or "slower".
    reason: Reason | None = None
    explanation: str = ""
    unreachable: bool = False
    throttled: int = 0  # How often in a row STS said "slower".

    def pulled_forward(self, now: datetime) -> "Failure":
        """Return this for a pod that is new: tried again sooner, where STS had said no."""
        soonest = max(now, self.failed_at + PULL_FORWARD_PAUSE)
        if self.reason is None or soonest >= self.retry_at:
            return self
        return replace(self, retry_at=soonest)


@dataclass(frozen=True, slots=True)
class Refusal:
    """STS says no: why, and until when what it gave before is still served; None: nothing is."""

    reason: Reason
    explanation: str
    served_until: datetime | None


def failure_after(
    before: Failure | None, error: IssueError, now: datetime, dice: random.Random
) -> Failure:
    """Return what follows from *error*, after *before*."""
    if isinstance(error, RefusedError):
        count = before.in_a_row + 1 if before is not None and before.reason is not None else 1
        again = now + _after_refusal(count)
        return Failure(again, now, count, reason=error.reason, explanation=error.explanation)
    if isinstance(error, ThrottledError):
        # "Slower" says nothing about the identity: whatever was known of it stands.
        known = before or Failure(now, now, in_a_row=0)
        again = now + _THROTTLED.delay(known.throttled + 1, dice)
        return replace(known, retry_at=again, failed_at=now, throttled=known.throttled + 1)
    count = before.in_a_row + 1 if before is not None and before.unreachable else 1
    return Failure(now + _UNAVAILABLE.delay(count, dice), now, count, unreachable=True)


def _after_refusal(count: int) -> timedelta:
    if count <= len(_FIRST_REFUSALS):
        return timedelta(seconds=_FIRST_REFUSALS[count - 1])
    doublings = min(count - len(_FIRST_REFUSALS), 32)  # Bounded, as a year of refusals is not.
    return min(_LONGEST_AFTER_REFUSAL, timedelta(seconds=_FIRST_REFUSALS[-1]) * (1 << doublings))
