"""How many calls a second the fake stands, as AWS's own quota: a bucket that refills."""

from datetime import datetime


class Throttle:
    """Lets *rate* calls a second through on average, and *burst* at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._at: datetime | None = None

    def admits(self, now: datetime) -> bool:
        """Take a token; False where there is none left."""
        if self._at is not None:
            self._left += (now - self._at).total_seconds() * self._rate
            self._left = min(float(self._burst), self._left)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
