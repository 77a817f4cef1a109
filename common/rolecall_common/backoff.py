"""How long to wait before asking again: doubling, capped, jittered, and told the dice."""

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Backoff:
    """A doubling series of delays, from *first* to *most*, each shortened by up to *jitter*."""

    first: timedelta
    most: timedelta
    jitter: float = 0.2  # A fifth is enough to part a fleet that failed together.

    def delay(self, failures: int, dice: random.Random) -> timedelta:
        """Return the wait after the *failures*-th failure in a row (the first is 1)."""
        # The exponent is bounded so that a year of failures does not overflow a timedelta.
        factor: int = 2 ** min(max(failures, 1) - 1, 32)
        whole = min(self.most, self.first * factor)
        return whole * (1 - self.jitter * dice.random())
