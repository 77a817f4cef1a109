"""A token bucket: so much at once, and so much in a second after that."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class TokenBucket:
    """Full at first. A clock that is set back neither fills it nor keeps it from filling."""

    burst: float
    per_second: float
    _left: float = field(init=False)
    _counted_at: datetime | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._left = self.burst

    def take(self, count: int, now: datetime) -> bool:
        """Take *count* out of it; false, and nothing is taken, where it has not as many."""
        elapsed = (now - (self._counted_at or now)).total_seconds()
        self._left = min(self.burst, self._left + max(0.0, elapsed) * self.per_second)
        self._counted_at = now
        if self._left < count:
            return False
        self._left -= count
        return True
