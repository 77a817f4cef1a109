"""How the values of settings are written: one type reads flags, environment and file alike.

The file's scalars arrive as text too, so that `off` is not false and an account number keeps its
zeros. Each type says what it accepts, in words that complete "accepted: …".
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Generic, TypeVar

from rolecall_common.settings.durations import duration_text, parse_duration

T = TypeVar("T")
K = TypeVar("K")
E = TypeVar("E", bound=StrEnum)

# What a flag, a variable or the file holds before a type has read it.
Raw = str | list["Raw"] | dict[str, "Raw"]
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ValueType(Generic[T]):
    """How one kind of value is written.

    *read* turns what was written into the value and raises ValueError, with a reason or without;
    *write* is its inverse, for help, documents and messages. *switch* types need no value on the
    command line, *many* types may be repeated there.
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
) -> ValueType[T]:
    """Return the type of a value that is written as one piece of text."""

    def read_text(raw: Raw) -> T:
        if not isinstance(raw, str):
            raise ValueError("one value is wanted here, not several")  # noqa: TRY004 - the input is wrong, not the caller
        return read(raw.strip())

    return ValueType(accepted, read_text, write, metavar)


def optional(value_type: ValueType[T]) -> ValueType[T | None]:
    """Return *value_type* with the empty text accepted as well, for "none"."""

    def read(raw: Raw) -> T | None:
        return None if raw == "" else value_type.read(raw)

    def write(value: T | None) -> str:
        return "" if value is None else value_type.write(value)

    return ValueType(
        f"{value_type.accepted}; or nothing",
        read,
        write,
        value_type.metavar,
        value_type.switch,
        value_type.many,
    )


def several(value_type: ValueType[T], least: int = 0) -> ValueType[tuple[T, ...]]:
    """Return the type of *least* values or more: a list in the file, else parted by commas."""

    def read(raw: Raw) -> tuple[T, ...]:
        values = tuple(value_type.read(item) for item in _items(raw))
        if len(values) < least:
            raise ValueError("it is empty")
        return values

    def write(values: tuple[T, ...]) -> str:
        return ",".join(value_type.write(value) for value in values)

    accepted = f"{f'{least} or more' if least else 'any number'} of: {value_type.accepted}"
    return ValueType(accepted, read, write, value_type.metavar, many=True)


def pairs(key: ValueType[K], value: ValueType[T]) -> ValueType[tuple[tuple[K, T], ...]]:
    """Return the type of `key=value` pairs: a mapping or a list in the file, else with commas."""

    def read(raw: Raw) -> tuple[tuple[K, T], ...]:
        return tuple((key.read(name), value.read(text)) for name, text in _pair_items(raw))

    def write(values: tuple[tuple[K, T], ...]) -> str:
        return ",".join(f"{key.write(name)}={value.write(text)}" for name, text in values)

    metavar = f"{key.metavar}={value.metavar}"
    accepted = f"any number of {metavar}, where {value.metavar} is {value.accepted}"
    return ValueType(accepted, read, write, metavar, many=True)


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


def choice(kind: type[E]) -> ValueType[E]:
    """Return the type of one word out of an enumeration."""
    words = {member.value: member for member in kind}

    def read(text: str) -> E:
        if text not in words:
            raise ValueError
        return words[text]

    *others, last = words
    accepted = f"{', '.join(others)} or {last}" if others else last
    return of_text(read, accepted, "|".join(words))


def whole(least: int, most: int) -> ValueType[int]:
    """Return the type of an integer from *least* to *most*, both included."""

    def read(text: str) -> int:
        # Plain digits only: int() would also take blanks, underscores and other scripts' digits.
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise ValueError
        return int(text)

    return of_text(read, f"a whole number from {least} to {most}", "N")


def number(least: float, most: float) -> ValueType[float]:
    """Return the type of a decimal number from *least* to *most*, both included."""

    def read(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", text, re.ASCII):
            raise ValueError
        if not least <= float(text) <= most:
            raise ValueError
        return float(text)

    return of_text(read, f"a number from {least:g} to {most:g}", "N", "{:g}".format)


def duration(least: timedelta, most: timedelta) -> ValueType[timedelta]:
    """Return the type of a duration from *least* to *most*, both included."""

    def read(text: str) -> timedelta:
        value = parse_duration(text)
        if not least <= value <= most:
            raise ValueError
        return value

    bounds = f"from {duration_text(least)} to {duration_text(most)}"
    return of_text(read, f"a duration {bounds}, such as 90s, 15m or 1h30m", "TIME", duration_text)


def matching(pattern: str, accepted: str, metavar: str) -> ValueType[str]:
    """Return the type of text that the regular expression *pattern* matches as a whole."""
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


SWITCH = ValueType(
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
NETWORK: ValueType[Network] = of_text(
    ip_network, "a network in CIDR notation, as 10.1.2.0/24", "CIDR"
)
