"""Durations as people write them: `90s`, `15m`, `1h30m` or `250ms`."""

import re
from datetime import timedelta

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(d|h|ms|m|s)", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """Read `90s`, `15m`, `1h30m` or `250ms`; raises ValueError where a unit is missing."""
    if not re.fullmatch(f"(?:{_PART.pattern})+", text, re.ASCII):
        raise ValueError
    try:
        return timedelta(seconds=sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(text)))
    except OverflowError as error:
        raise ValueError("it is longer than time is known to last") from error


def duration_text(duration: timedelta) -> str:
    """Write *duration* as `parse_duration` reads it, to the millisecond."""
    rest = round(duration.total_seconds() * 1000)
    if rest <= 0:
        return "0s"
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, rest = divmod(rest, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts)
