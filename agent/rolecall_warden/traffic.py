"""What the counters say of the node's traffic: what each guard dropped, and whether pods come in.

Rules of somebody else, such as those of a host firewall, can keep pods from an endpoint while ours
are all in place. Nothing that a process sends for a trial would show it: a firewall goes by links
and sources, and a trial has others than pods have. So the pods' own packets are counted, behind the
guards and again behind everybody's rules. What has passed the first and never the second was
dropped in between; whatever we drop there ourselves is known and taken off.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from rolecall_common.guards import Endpoint, Guard
from rolecall_warden import counters
from rolecall_warden.counters import SUFFIXES, Increase, Stage

# Fewer may be one client's that was cut off; a client that gets no answer sends as many by itself.
_FEW = 3
# When the last loss is so long ago, nobody has asked since, and nothing is known of now.
_REMEMBERED = timedelta(minutes=5)


class Direction(StrEnum):
    """On which half of the way packets are lost, for a person."""

    IN = "what pods send to it is dropped on the way in"
    OUT = "what it answers is dropped on the way out"


_BETWEEN = {
    Direction.IN: (Stage.ASKED, Stage.ARRIVED),
    Direction.OUT: (Stage.ANSWERED, Stage.LEFT),
}


class Way:
    """One half of the way between pods and an endpoint, in one IP family."""

    def __init__(self) -> None:
        self.lost = 0
        self._pending = 0
        self._in_a_row = 0
        self._had_passed = False
        self._last_lost = 0.0

    def begin_anew(self) -> None:
        """Take note that the counters are at zero, and what was on its way is not known."""
        self._pending = 0

    def take(self, sent: int, passed: int, now: float) -> None:
        """Compare what was *sent* and what has *passed* since the last time.

        What is missing counts as lost at the next time: until then it may have been on its way.
        """
        # Of what has passed, the first were those that were on their way before.
        before, lost = self._pending, max(0, self._pending - passed)
        self._pending = max(0, sent - max(0, passed - before))
        self.lost += lost
        has_passed = passed or self._had_passed
        self._in_a_row = 0 if has_passed else self._in_a_row + lost
        self._had_passed = passed > 0
        if lost:
            self._last_lost = now

    def is_blocked(self, now: float) -> bool:
        """Return whether something was lost lately, and nothing has passed since."""
        lately = now - self._last_lost < _REMEMBERED.total_seconds()
        return self._in_a_row >= _FEW and lately


class Traffic:
    """What a node's warden has seen of its traffic since it began."""

    def __init__(self) -> None:
        self.dropped = dict.fromkeys(Guard, 0)
        self._increase = Increase()
        self._ways = {
            (endpoint, direction, suffix): Way()
            for endpoint in Endpoint
            for direction in Direction
            for suffix in SUFFIXES
        }

    @property
    def lost(self) -> dict[Endpoint, int]:
        """Return how many packets somebody else has dropped, by the endpoint they were for."""
        return {
            endpoint: sum(way.lost for (of, *_), way in self._ways.items() if of is endpoint)
            for endpoint in Endpoint
        }

    def begin_anew(self) -> None:
        """Take note that the table was replaced."""
        self._increase.begin_anew()
        for way in self._ways.values():
            way.begin_anew()

    def take(self, counts: Mapping[str, int], now: float) -> None:
        """Take in what the counters say *now*, in seconds of a clock that only goes on."""
        more = self._increase.since(counts)
        for guard in Guard:
            self.dropped[guard] += sum(more[counters.of_guard(guard, each)] for each in SUFFIXES)
        for (endpoint, direction, suffix), way in self._ways.items():
            sent, passed = (
                more[counters.of_stage(endpoint, stage, suffix)] for stage in _BETWEEN[direction]
            )
            if endpoint is Endpoint.METADATA and direction is Direction.IN:
                sent -= more[counters.of_guard(Guard.CONNECTIONS, suffix)]
            way.take(sent, passed, now)

    def blocked(self, now: float) -> dict[Endpoint, str]:
        """Return which endpoints pods do not come to, and how that shows."""
        found: dict[Endpoint, list[str]] = {}
        for (endpoint, direction, suffix), way in self._ways.items():
            if way.is_blocked(now):
                found.setdefault(endpoint, []).append(f"by IPv{suffix}, {direction}")
        return {
            endpoint: f"rules of somebody else, such as a host firewall's, keep pods from the "
            f"{endpoint} endpoint: {'; '.join(ways)}"
            for endpoint, ways in found.items()
        }
