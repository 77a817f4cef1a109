"""Whether tokens are reviewed at present, and when to ask again where they are not."""

import logging
from datetime import datetime, timedelta

from rolecall_server.kube.auth.token_review import Unanswered

log = logging.getLogger(__name__)

# One question in so long finds out whether the API server is back.
PAUSE = timedelta(seconds=2)
# An API server that asks for more patience than that is asked all the same.
LONGEST_PAUSE = timedelta(seconds=30)


class CircuitBreaker:
    """Open while there is no review: one question a pause goes through, instead of all."""

    def __init__(self) -> None:
        # Why it is open; None while it is closed.
        self.failure: Unanswered | None = None
        self._again_at: datetime | None = None
        self._fallback_noted = False

    def allows(self, now: datetime) -> bool:
        """Tell whether to ask now. While it is open the answer is yes once in a pause: take it."""
        if self.failure is None:
            return True
        # A clock that was set back must not put the question off for long.
        if self._again_at is not None and timedelta() < self._again_at - now <= LONGEST_PAUSE:
            return False
        self._again_at = now + PAUSE
        return True

    def open(self, failure: Unanswered, now: datetime) -> None:
        """Note that there was no review; said once, and again where the kind of failure changes."""
        known = self.failure is not None and self.failure.away == failure.away
        self.failure = failure
        self._again_at = now + min(max(PAUSE, failure.retry_after or PAUSE), LONGEST_PAUSE)
        if known:
            return
        fields = {"reason": failure.reason}
        if failure.away:
            log.warning("agents' tokens cannot be reviewed: the API server is away", extra=fields)
        else:
            log.error("agents' tokens cannot be reviewed: it is not allowed to us", extra=fields)

    def note_fallback(self) -> None:
        """Note that a token was accepted without a review; said once in an outage."""
        if not self._fallback_noted:
            self._fallback_noted = True
            log.warning("agents are let in by their tokens' signatures alone")

    def close(self) -> None:
        """Note that there was a review."""
        if self.failure is not None:
            log.info("agents' tokens are reviewed again")
        self.failure, self._fallback_noted = None, False
