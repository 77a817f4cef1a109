"""How the values of settings are written: one form reads flags, environment and file alike.

The file's scalars arrive as text too, so that `off` is not false and an account number keeps its
zeros. Each form says what it accepts, in words that complete "accepted: …".
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K")
E = TypeVar("E", bound=StrEnum)

# What a flag, a variable or the file holds before a form has read it.
Raw = str | list["Raw"] | dict[str, "Raw"]
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """How one kind of value is written.

    *read* turns what was written into the value and raises ValueError, with a reason or without;
    *write* is its inverse, for help, documents and messages. *switch* forms need no value on the
    command line, *many* forms may be repeated there.
    """

    accepted: str
    read: Callable[[Raw], T]
    write: Callable[[T], str]
    metavar: str = "TEXT"
    switch: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True, order=True)
class HostPort:
    """A host (a name, or an IPv4 or IPv6 address) and a TCP port, written as `host:port`."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def of_text(
    read: Callable[[str], T], accepted: str, metavar: str, write: Callable[[T], str] = str
) -> Form[T]:
    """Return the form of a value that is written as one piece of text."""

    def read_text(raw: Raw) -> T:
        if not isinstance(raw, str):
            raise ValueError("one value is wanted here, not several")  # noqa: TRY004 - the input is wrong, not the caller
        return read(raw.strip())

    return Form(accepted, read_text, write, metavar)


def optional(form: Form[T]) -> Form[T | None]:
    """Return *form* with the empty text accepted as well, for "none"."""

    def read(raw: Raw) -> T | None:
        return None if raw == "" else form.read(raw)

    def write(value: T | None) -> str:
        return "" if value is None else form.write(value)

    return Form(f"{form.accepted}; or nothing", read, write, form.metavar, form.switch, form.many)


def several(form: Form[T], least: int = 0) -> Form[tuple[T, ...]]:
    """Return the form of *least* values or more: a list in the file, else parted by commas."""

    def read(raw: Raw) -> tuple[T, ...]:
        values = tuple(form.read(item) for item in _items(raw))
        if len(values) < least:
            raise ValueError("it is empty")
        return values

    def write(values: tuple[T, ...]) -> str:
        return ",".join(form.write(value) for value in values)

    accepted = f"{f'{least} or more' if least else 'any number'} of: {form.accepted}"
    return Form(accepted, read, write, form.metavar, many=True)


def pairs(key: Form[K], value: Form[T]) -> Form[tuple[tuple[K, T], ...]]:
    """Return the form of `key=value` pairs: a mapping or a list in the file, else with commas."""

    def read(raw: Raw) -> tuple[tuple[K, T], ...]:
        return tuple((key.read(name), value.read(text)) for name, text in _pair_items(raw))

    def write(values: tuple[tuple[K, T], ...]) -> str:
        return ",".join(f"{key.write(name)}={value.write(text)}" for name, text in values)

    metavar = f"{key.metavar}={value.metavar}"
    accepted = f"any number of {metavar}, where {value.metavar} is {value.accepted}"
    return Form(accepted, read, write, metavar, many=True)


def _items(raw: Raw) -> list[Raw]:
    if isinstance(raw, str):
        return [item for item in (part.strip() for part in raw.split(",")) if item]
    if isinstance(raw, list):
        return raw
    raise ValueError("a list is wanted here, not a mapping")


def _pair_items(raw: Raw) -> Iterator[tuple[str, Raw]]:
    if isinstance(raw, dict):
        for name, texts in raw.items():
            yield from ((name, text) for text in (texts if isinstance(texts, list) else [texts]))
        return
    for item in _items(raw):
        if not isinstance(item, str) or "=" not in item:
            raise ValueError(f"{item!r} is not key=value")
        name, _, text = item.partition("=")
        yield name, text


def choice(kind: type[E]) -> Form[E]:
    """Return the form of one word out of an enumeration."""
    words = {member.value: member for member in kind}

    def read(text: str) -> E:
        if text not in words:
            raise ValueError
        return words[text]

    *others, last = words
    accepted = f"{', '.join(others)} or {last}" if others else last
    return of_text(read, accepted, "|".join(words))


def whole(least: int, most: int) -> Form[int]:
    """Return the form of an integer from *least* to *most*, both included."""

    def read(text: str) -> int:
        # Plain digits only: int() would also take blanks, underscores and other scripts' digits.
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise ValueError
        return int(text)

    return of_text(read, f"a whole number from {least} to {most}", "N")


def number(least: float, most: float) -> Form[float]:
    """Return the form of a decimal number from *least* to *most*, both included."""

    def read(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", text, re.ASCII):
            raise ValueError
        if not least <= float(text) <= most:
            raise ValueError
        return float(text)

    return of_text(read, f"a number from {least:g} to {most:g}", "N", "{:g}".format)


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


def duration(least: timedelta, most: timedelta) -> Form[timedelta]:
    """Return the form of a duration from *least* to *most*, both included."""

    def read(text: str) -> timedelta:
        value = parse_duration(text)
        if not least <= value <= most:
            raise ValueError
        return value

    bounds = f"from {duration_text(least)} to {duration_text(most)}"
    return of_text(read, f"a duration {bounds}, such as 90s, 15m or 1h30m", "TIME", duration_text)


def matching(pattern: str, accepted: str, metavar: str) -> Form[str]:
    """Return the form of text that the regular expression *pattern* matches as a whole."""
    compiled = re.compile(pattern, re.ASCII)

    def read(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError
        return text

    return of_text(read, accepted, metavar)


def _read_switch(text: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise ValueError
    return words[text.lower()]


def _read_path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError
    return Path(text)


_HOST = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9.])?", re.ASCII)


def _read_host_port(text: str) -> HostPort:
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or int(port) > 65535:  # noqa: PLR2004 - TCP's last port
        raise ValueError
    if host.startswith("[") and host.endswith("]"):
        return HostPort(str(ip_address(host[1:-1])), int(port))
    if not _HOST.fullmatch(host):
        raise ValueError
    return HostPort(host, int(port))


SWITCH = Form(
    "true or false",
    of_text(_read_switch, "", "").read,
    lambda value: "true" if value else "false",
    "true|false",
    switch=True,
)
PATH = of_text(_read_path, "the path of a file or directory", "PATH")
HOST_PORT = of_text(
    _read_host_port, "host:port, such as 127.0.0.1:8443, [::1]:8443 or name:8443", "HOST:PORT"
)
NETWORK: Form[Network] = of_text(ip_network, "a network in CIDR notation, as 10.1.2.0/24", "CIDR")
