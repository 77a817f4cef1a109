"""Whether tokens are reviewed at present, and when to ask again where they are not."""

import logging
from datetime import datetime, timedelta

from rolecall_server.kube.auth.token_review import Unanswered

log = logging.getLogger(__name__)

# One question in so long finds out whether the API server is back.
PAUSE = timedelta(seconds=2)
# An API server that asks for more patience than that is asked all the same.
LONGEST_PAUSE = timedelta(seconds=30)


class Outage:
    """The time in which there is no review: one question a pause, instead of everybody's."""

    def __init__(self) -> None:
        # Why there is no review; None while there is.
        self.trouble: Unanswered | None = None
        self._again_at: datetime | None = None
        self._stood_in = False

    def may_ask(self, now: datetime) -> bool:
        """Tell whether to ask now. In an outage the answer is yes once in a pause: take it."""
        if self.trouble is None:
            return True
        # A clock that was set back must not put the question off for long.
        if self._again_at is not None and timedelta() < self._again_at - now <= LONGEST_PAUSE:
            return False
        self._again_at = now + PAUSE
        return True

    def begin(self, trouble: Unanswered, now: datetime) -> None:
        """Note that there was no review; said once, and again where the kind of trouble changes."""
        known = self.trouble is not None and self.trouble.away == trouble.away
        self.trouble = trouble
        self._again_at = now + min(max(PAUSE, trouble.retry_after or PAUSE), LONGEST_PAUSE)
        if known:
            return
        fields = {"reason": trouble.reason}
        if trouble.away:
            log.warning("agents' tokens cannot be reviewed: the API server is away", extra=fields)
        else:
            log.error("agents' tokens cannot be reviewed: it is not allowed to us", extra=fields)

    def stand_in(self) -> None:
        """Note that a token was accepted without a review; said once in an outage."""
        if not self._stood_in:
            self._stood_in = True
            log.warning("agents are let in by their tokens' signatures alone")

    def end(self) -> None:
        """Note that there was a review."""
        if self.trouble is not None:
            log.info("agents' tokens are reviewed again")
        self.trouble, self._stood_in = None, False
