"""The counters of the table: what they are called, and what has come to be counted since when.

They begin anew with each table, and a warden outlives many: it adds them up.
"""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum

from rolecall_common.guards import Endpoint, Guard

SUFFIXES = ("4", "6")  # Of the two IP families.
_LARGEST = 2**64


class Stage(StrEnum):
    """How far a connection to an endpoint has come on this node."""

    ASKED = "asked"  # Its first packet has passed the guards.
    ARRIVED = "arrived"  # The same packet has passed everybody's rules, and is the agent's.
    ANSWERED = "answered"  # The kernel has answered that packet.
    LEFT = "left"  # The answer has passed everybody's rules.


def of_guard(guard: Guard, suffix: str) -> str:
    """Return the name of what counts the packets that *guard* drops."""
    return f"dropped_{guard}{suffix}"


def of_stage(endpoint: Endpoint, stage: Stage, suffix: str) -> str:
    """Return the name of what counts the connections to *endpoint* that have come so far."""
    return f"{endpoint}_{stage}{suffix}"


def names() -> Iterator[str]:
    """Yield the name of every counter of the table."""
    for suffix in SUFFIXES:
        yield from (of_guard(guard, suffix) for guard in Guard)
        yield from (of_stage(*each, suffix) for each in _stages())


def _stages() -> Iterator[tuple[Endpoint, Stage]]:
    yield from ((endpoint, stage) for endpoint in Endpoint for stage in Stage)


def parse(text: str) -> dict[str, int] | None:
    """Read `nft -j list counters`: packets by name; None where it is no such list."""
    try:
        entries = json.loads(text)["nftables"]
        found = [entry["counter"] for entry in entries if "counter" in entry]
        counts = {each["name"]: each["packets"] for each in found}
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    known = {name: counts.get(name, 0) for name in names()}
    whole = all(type(each) is int and 0 <= each < _LARGEST for each in known.values())
    return known if whole else None


class Increase:
    """What was counted from one reading to the next."""

    def __init__(self) -> None:
        self._last: Mapping[str, int] = {}

    def begin_anew(self) -> None:
        """Take note that the table was replaced: its counters are at zero."""
        self._last = {}

    def since(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Return by how much *counts* have risen; whatever has fallen has begun anew."""
        last, self._last = self._last, counts
        return {
            name: count - last[name] if last.get(name, 0) <= count and name in last else count
            for name, count in counts.items()
        }
