"""Counts of an endpoint, as plain numbers: `metrics.py` shows them to Prometheus."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import product

from rolecall_agent.decision import Missing, Outcome, PathClass, Refuse, Route
from rolecall_common.metrics import Distribution

# Seconds. The edges at 0.9 and 1.0 are where we stop holding in silence and where SDKs stop
# waiting in it, the one at 3.5 is where we stop holding at all.
DURATIONS = (
    *(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 0.9, 1.0, 2.0),
    *(3.5, 5.0),
)
# Seconds. 600 is the promise; from 1500 on botocore stops inventing later ends.
REMAINING = (0, 60, 300, 600, 900, 1500, 1800, 2700, 3600)

_SECOND = timedelta(seconds=1)


# A status and how a request ended, by route.
_End = tuple[Route, int, Outcome]


def _ends(
    refusals: Mapping[Route, Iterable[Refuse]], served_routes: Iterable[Route]
) -> Counter[_End]:
    """Return every end that a request can have, so that its series begins at zero."""
    refused = [
        (route, each.status, each.outcome) for route, some in refusals.items() for each in some
    ]
    served = product(served_routes, [200], [Outcome.SERVED, Outcome.HELD_SERVED])
    return Counter(dict.fromkeys([*refused, *served], 0))


def _durations() -> Distribution:
    return Distribution(DURATIONS, [0] * (len(DURATIONS) + 1))


def _remaining() -> Distribution:
    return Distribution(REMAINING, [0] * (len(REMAINING) + 1))


class Counters:
    """Everything that one endpoint counts.

    Durations are told by the loop's clock, which stands still for one turn of the loop: an answer
    that is given within the turn that brought its head counts as zero.

    Args:
        refusals: Every way in which a request can be refused, by its path: to count from zero.
        served_routes: Every path that can be answered with something.
        beside: Another endpoint's, to share what is counted of neither endpoint alone.
    """

    def __init__(
        self,
        refusals: Mapping[Route, Iterable[Refuse]],
        served_routes: Iterable[Route],
        beside: "Counters | None" = None,
    ) -> None:
        self.requests = _ends(refusals, served_routes)
        self.durations = {route: _durations() for route in refusals}
        self.refused_paths = Counter(dict.fromkeys(PathClass, 0))
        self.tokenless = 0  # Requests that were answered without a metadata token.
        self.holds: Mapping[Missing, Distribution]
        if beside is None:
            self.holds = {missing: _durations() for missing in Missing}
            self.remaining = _remaining()
        else:
            self.holds, self.remaining = beside.holds, beside.remaining

    def answered(self, route: Route, status: int, outcome: Outcome, seconds: float) -> None:
        self.requests[route, status, outcome] += 1
        self.durations[route].observe(seconds)

    def held(self, missing: Missing, seconds: float) -> None:
        self.holds[missing].observe(seconds)

    def served(self, left: timedelta, times: int = 1) -> None:
        """Note how long a served document's credentials still live, as the pod was told."""
        self.remaining.observe(left / _SECOND, times)

    def repeated(self, route: Route, left: timedelta, times: int, *, tokenless: bool) -> None:
        """Note *times* answers from the cache of responses."""
        self.tokenless += times * tokenless
        self.requests[route, 200, Outcome.SERVED] += times
        self.durations[route].observe(0.0, times)
        if route is Route.ROLE_DOCUMENT:
            self.served(left, times)
