"""A cache of so many values, each for so long."""

from collections import OrderedDict
from datetime import datetime
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class TtlCache(Generic[Key, Value]):
    """Keeps *most* values, each until its end; of too many, the one unused the longest goes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Key, tuple[Value, datetime, datetime]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, key: Key, value: Value, now: datetime, until: datetime) -> None:
        self._kept[key] = value, now, until
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def get(self, key: Key, now: datetime) -> Value | None:
        value, kept_at, until = self._kept.get(key, (None, now, now))
        if value is None:
            return None
        # A clock that was set back must not prolong anything.
        if not kept_at <= now < until:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return value

    def remove(self, key: Key) -> None:
        self._kept.pop(key, None)
