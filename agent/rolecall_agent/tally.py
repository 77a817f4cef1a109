"""Counts of a door, as plain integers: a metrics library would cost more than the answer.

`metrics.py` shows them to Prometheus.
"""

import bisect
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

from rolecall_agent.routes import Route
from rolecall_agent.verdicts import Missing, Outcome

# Seconds. The edges at 0.9 and 1.0 are where we stop holding and where SDKs stop waiting.
DURATIONS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 0.9, 1.0, 2.0)
# Seconds. 600 is the promise, 1500 where botocore stops inventing later ends.
REMAINING = (0, 60, 300, 600, 900, 1500, 1800, 2700, 3600)

_SECOND = timedelta(seconds=1)


class Spread:
    """A histogram: how many observations lie at or under each bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect.bisect_left(self.bounds, value)] += times
        self.total += value * times


def _durations() -> Spread:
    return Spread(DURATIONS)


@dataclass(slots=True)
class Tally:
    """Everything that one door counts."""

    requests: Counter[tuple[Route, int, Outcome]] = field(default_factory=Counter)
    durations: defaultdict[Route, Spread] = field(default_factory=lambda: defaultdict(_durations))
    holds: defaultdict[Missing, Spread] = field(default_factory=lambda: defaultdict(_durations))
    remaining: Spread = field(default_factory=lambda: Spread(REMAINING))

    def answered(self, route: Route, status: int, outcome: Outcome, seconds: float) -> None:
        self.requests[route, status, outcome] += 1
        self.durations[route].observe(seconds)

    def served(self, left: timedelta) -> None:
        """Note how long served credentials still live, as the pod was told."""
        self.remaining.observe(left / _SECOND)

    def served_again(self, route: Route, left: timedelta, times: int) -> None:
        """Note *times* answers from a connection's memory: each within one turn of the loop."""
        self.requests[route, 200, Outcome.SERVED] += times
        self.durations[route].observe(0.0, times)
        self.remaining.observe(left / _SECOND, times)
