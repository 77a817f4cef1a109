"""Session names: templates, what they make of a pod, and what they cost in calls of STS."""

import enum
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from rolecall_common.quoting import quoted
from rolecall_server.model import renewal_window

LONGEST = 64  # STS's limit for session names and source identities; the least is 2.
_STRANGE = re.compile(r"[^A-Za-z0-9_+=,.@-]")  # Everything beyond STS's alphabet.
_PART = re.compile(r"([^{}]+)|\{([^{}]*)\}|(.)", re.DOTALL)
_TAIL = 8  # Hex digits of a hash: one in four thousand million names reads as another.


class Field(enum.StrEnum):
    """What a template may name in braces."""

    NAMESPACE = "namespace"
    SERVICE_ACCOUNT = "service_account"
    POD = "pod"
    UID = "uid"
    NODE = "node"
    CLUSTER = "cluster"
    ROLE = "role"
    NAME = "name"  # The pod's own session-name annotation, where the operator allows it.


OF_EACH_POD = frozenset({Field.POD, Field.UID})  # No two pods agree on these.


@dataclass(frozen=True, slots=True)
class Template:
    """A text with fields in it, such as `{namespace}.{service_account}`."""

    text: str
    parts: tuple[str | Field, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Read the setting. Raises ValueError saying what is accepted."""
        if not text:
            raise ValueError(f"an empty session name; {_ACCEPTED}")
        parts = (_literal(literal) if literal else field_of(name) for literal, name in pieces(text))
        return cls(text, tuple(parts))

    @property
    def fields(self) -> frozenset[Field]:
        return frozenset(part for part in self.parts if isinstance(part, Field))

    @property
    def names_each_pod(self) -> bool:
        """Whether no two pods get the same text, so that each has a session of its own."""
        return not self.fields.isdisjoint(OF_EACH_POD)

    def render(self, facts: Mapping[Field, str]) -> str:
        """Return the text for *facts* within STS's alphabet and length, the same every time."""
        return fitted("".join(facts[p] if isinstance(p, Field) else p for p in self.parts))


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield each piece of a template: a literal text, or what is between a pair of braces.

    The other of the two is empty. Raises ValueError where a brace lacks its other.
    """
    for found in _PART.finditer(text):
        literal, braced, stray = found.groups(default="")
        if stray:
            raise ValueError(f"{quoted(text)} has a brace without its other; {_ACCEPTED}")
        yield literal, braced


def field_of(text: str) -> Field:
    """Return the field of that name. Raises ValueError saying which there are."""
    try:
        return Field(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} in braces is no field; {_ACCEPTED}") from None


def fitted(text: str) -> str:
    """Return *text* as STS takes it: 2 to 64 characters of its alphabet.

    Other characters become hyphens. A longer text keeps its head, and gets the hash of all of it as
    its tail, so that two that differ late still differ.
    """
    clean = _STRANGE.sub("-", text)
    if len(clean) <= LONGEST:
        return clean.ljust(2, "-")
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=_TAIL // 2)
    return f"{clean[: LONGEST - _TAIL - 1]}-{digest.hexdigest()}"


def arithmetic(
    template: Template, pods: int, calls_per_second: float, duration: timedelta
) -> str | None:
    """Return what *template* costs with *pods*, in one sentence; None where pods can share."""
    if not template.names_each_pod:
        return None
    steady = pods / (renewal_window.MEAN * duration.total_seconds())
    cold = pods / calls_per_second / 60
    return (
        f"the session name {template.text} makes a session of every pod: {pods:,} pods = "
        f"{pods:,} sessions = {steady:,.1f} calls of STS a second to renew them, and "
        f"{cold:,.1f} minutes from cold at {calls_per_second:g} calls a second"
    )


_ACCEPTED = (
    "accepted are letters, digits and _+=,.@- of STS's alphabet, and the fields "
    + ", ".join(f"{{{field}}}" for field in Field)
)


def _literal(text: str) -> str:
    if _STRANGE.search(text):
        raise ValueError(f"{quoted(text)} has a character that STS does not take; {_ACCEPTED}")
    if len(text) > LONGEST:
        raise ValueError(f"{quoted(text)} is longer than STS's {LONGEST} characters")
    return text
