"""What is known of the node's own items, and what should be asked for. No I/O, no clock."""

import enum
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolecall_agent.decision import Item
from rolecall_agent.metadata.items import listings


class Missed(enum.Enum):
    """Why there is no value."""

    REFUSED = "refused"  # The real service has never had such an item for us: 404.
    UNAVAILABLE = "unavailable"  # It failed, or was silent: 503.


Value = bytes | Missed


class Result(enum.StrEnum):
    """How a question to the real service ended, as metrics name it."""

    OK = "ok"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


# A value holds as long as the machine does. It is asked for again all the same, and served
# meanwhile: a machine that was suspended may wake as another type.
_FRESH = timedelta(minutes=5)
_REFUSED_FOR = timedelta(minutes=1)
_UNAVAILABLE_FOR = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Kept:
    value: Value
    until: datetime
    since: datetime


class ItemCache:
    """The items that this endpoint offers. Without any it offers none, and asks nobody."""

    def __init__(self, offered: Collection[Item] = ()) -> None:
        self.offered = frozenset(offered)
        self.listings = listings(self.offered)
        self.results = Counter(dict.fromkeys(Result, 0))
        self._kept: dict[Item, _Kept] = {}

    def find(self, item: Item, now: datetime) -> Value | None:
        """Return what a pod is told of *item*; None where it must wait for an answer."""
        if item not in self.offered:
            return Missed.REFUSED
        kept = self._kept.get(item)
        if kept is None or (isinstance(kept.value, Missed) and _is_over(kept, now)):
            return None
        return kept.value

    def is_due(self, item: Item, now: datetime) -> bool:
        """Whether the real service should be asked for *item*."""
        kept = self._kept.get(item)
        return item in self.offered and (kept is None or _is_over(kept, now))

    def put(self, item: Item, value: Value, now: datetime) -> None:
        """Take in what the real service has said. A value stays: the machine is the same."""
        match value:
            case bytes():
                self._keep(item, value, now, Result.OK, _FRESH)
            case Missed.REFUSED:
                self._keep(item, value, now, Result.REFUSED, _REFUSED_FOR)
            case Missed.UNAVAILABLE:
                self._keep(item, value, now, Result.UNAVAILABLE, _UNAVAILABLE_FOR)

    def _keep(
        self, item: Item, value: Value, now: datetime, result: Result, how_long: timedelta
    ) -> None:
        self.results[result] += 1
        old = self._kept.get(item)
        if isinstance(value, Missed) and old is not None and isinstance(old.value, bytes):
            value = old.value
        self._kept[item] = _Kept(value, now + how_long, now)


def _is_over(kept: _Kept, now: datetime) -> bool:
    # A clock that was set back must not make a second an hour.
    return not kept.since <= now < kept.until
