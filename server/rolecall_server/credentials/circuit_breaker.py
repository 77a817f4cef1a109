"""Whether STS answers at all, and when to ask again where it does not."""

import random
from datetime import datetime, timedelta

from rolecall_common.backoff import Backoff
from rolecall_proto.values import SessionId

# So many calls in a row without an answer, for so many identities, are an outage of STS, and not a
# matter of one of them.
FAILURES, IDENTITIES = 5, 3
# Whoever waits for credentials waits for this long after STS is back, at the most.
LONGEST_PAUSE = timedelta(seconds=5)
_PAUSES = Backoff(timedelta(seconds=0.2), LONGEST_PAUSE)


class CircuitBreaker:
    """Open while STS does not answer: one call at a time finds out whether it does, not all.

    What is due meanwhile stays due, so that all of it goes by urgency once STS is back.
    """

    def __init__(self, dice: random.Random) -> None:
        self.is_open = False
        self._dice = dice
        self._failures = 0  # Since the last answer.
        self._failing: set[SessionId] = set()  # For whom, while it is closed.
        self._probe: SessionId | None = None  # The call that finds out.
        self._probes = 0
        self._again_at: datetime | None = None

    def opens_at(self, now: datetime) -> datetime | None:
        """Return when a call may start, *now* at the earliest; None: once one is over."""
        if not self.is_open or self._again_at is None:
            return now
        if self._probe is not None:
            return None
        # A clock that was set back must not put the call off for long.
        return min(max(now, self._again_at), now + LONGEST_PAUSE)

    def start(self, session_id: SessionId) -> None:
        """Note that a call starts."""
        if self.is_open:
            self._probe = session_id

    def close(self) -> None:
        """Note that STS has answered, whatever it said."""
        self.is_open = False
        self._failures, self._probe = 0, None
        self._failing.clear()

    def fail(self, session_id: SessionId, known: int, now: datetime) -> None:
        """Note that STS has not answered, where *known* identities are all there are."""
        self._failures += 1
        if self.is_open:
            if self._probe == session_id:
                self._pause(now)
            return
        self._failing.add(session_id)
        if self._failures >= FAILURES and len(self._failing) >= min(IDENTITIES, known):
            self.is_open, self._probes = True, 0
            self._failing.clear()
            self._pause(now)

    def _pause(self, now: datetime) -> None:
        self._probe = None
        self._probes += 1
        self._again_at = now + _PAUSES.delay(self._probes, self._dice)
