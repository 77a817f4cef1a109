"""Settings: declared once as fields of a dataclass, then read from flags, environment and file.

A setting `session_duration` is `--session-duration`, `ROLECALL_SESSION_DURATION` and, in the file,
`sessionDuration`. A flag wins over a variable, a variable over the file, the file over the default.
No setting is a secret: secrets are in files, and settings name the files.
"""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from rolecall_common.quoting import quoted
from rolecall_common.settings.types import Raw, ValueType

T = TypeVar("T")
S = TypeVar("S")

PREFIX = "ROLECALL_"
# Where the file is, and what only our own tests look at.
NOT_SETTINGS = frozenset({"ROLECALL_CONFIG", "ROLECALL_NOTHING_LEFT_OUT"})
# Kubernetes injects such variables for every Service of the namespace, `rolecall-…` included.
SERVICE_LINK = re.compile(
    r"ROLECALL_(.+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one setting."""

    field: str
    type: ValueType[Any]
    help: str
    default: Any  # dataclasses.MISSING where the operator has to say it.
    group: str = ""

    @property
    def name(self) -> str:
        """Its name in the file and in messages: sessionDuration."""
        first, *rest = self.field.split("_")
        return first + "".join(word.capitalize() for word in rest)

    @property
    def flag(self) -> str:
        return "--" + self.field.replace("_", "-")

    @property
    def variable(self) -> str:
        return PREFIX + self.field.upper()

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING

    @property
    def default_text(self) -> str:
        return "" if self.required else self.type.write(self.default)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the settings cannot be used: one line for the operator."""

    name: str
    value: str
    origin: str
    reason: str

    def __str__(self) -> str:
        value = f": {self.value}" if self.value else ""
        origin = f" (from {self.origin})" if self.origin else ""
        return f"{self.name}{value}{origin}: {self.reason}"


class SettingsError(Exception):
    """The settings cannot be used; `problems` holds all that was found, not just the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Conflict:
    """What is wrong with a setting that reads well on its own: *field* names it."""

    field: str
    reason: str


@runtime_checkable
class Checked(Protocol):
    """A group of settings that can contradict each other."""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what cannot be; nothing when all is well."""
        ...


_REQUIRED: Any = dataclasses.MISSING


def setting(value_type: ValueType[T], help_text: str, *, default: T = _REQUIRED) -> T:
    """Declare a setting as a field of a dataclass; without *default* the operator has to say it."""
    return dataclasses.field(default=default, metadata={"type": value_type, "help": help_text})


def group(kind: type[S], title: str) -> S:
    """Declare a group of settings, itself a dataclass, as a field; *title* heads it in the help."""
    metadata = {"kind": kind, "title": title}
    return dataclasses.field(default_factory=kind, metadata=metadata)


def declared(kind: type[Any], title: str = "") -> list[Setting]:
    """Return every setting of *kind* and its groups, in the order of their declaration."""
    found = []
    for field in dataclasses.fields(kind):
        if "kind" in field.metadata:
            found += declared(field.metadata["kind"], field.metadata["title"])
        else:
            value_type, text = field.metadata["type"], field.metadata["help"]
            found.append(Setting(field.name, value_type, text, field.default, title))
    return found


@dataclass(frozen=True, slots=True)
class Written:
    """What somebody wrote, and where."""

    raw: Raw
    origin: str


def shown_path(file: Path) -> str:
    """Return the path of *file* as it is, unless it would leave its line."""
    return str(file) if str(file).isprintable() else quoted(str(file))


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """Return a hint at the nearest of *known*, or nothing; *prefix* makes nothing alike."""
    ends = [each.removeprefix(prefix) for each in known]
    near = difflib.get_close_matches(word.removeprefix(prefix), ends, n=1, cutoff=0.7)
    return f"; did you mean {prefix}{near[0]}?" if near else ""
