"""Session tags: what their values are made of, and what STS takes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import re2  # type: ignore[import-untyped]  # google-re2 ships no types.

from rolecall_common.quoting import quoted
from rolecall_server.policy.session_names import Field, field_of, pieces

# STS's limits: tags of a session, and characters of a key and of a value.
_MOST = 50
_LONGEST_KEY = 128
_LONGEST_VALUE = 256
# Letters, separators and digits of any script: Python's `re` has no such classes.
_TEXT = re2.compile(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*")
_LABEL = "label:"

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Label:
    """Stands for the value of a pod's label."""

    key: str


@dataclass(frozen=True, slots=True)
class TagTemplate:
    """A tag's value: text, fields as in session names, and labels, such as `{label:team}`."""

    parts: tuple[str | Field | Label, ...]

    @classmethod
    def parse(cls, text: str) -> "TagTemplate":
        """Read the setting. Raises ValueError saying what is accepted."""
        return cls(tuple(_part(literal, braced) for literal, braced in pieces(text)))

    @property
    def fields(self) -> frozenset[Field]:
        return frozenset(part for part in self.parts if isinstance(part, Field))

    @property
    def labels(self) -> frozenset[str]:
        """The labels that have to be kept of pods for this value."""
        return frozenset(part.key for part in self.parts if isinstance(part, Label))

    def render(self, facts: Mapping[Field, str], labels: Mapping[str, str]) -> str | None:
        """Return the value, unchecked, or None where the pod lacks a label: it lacks the tag."""
        if not self.labels <= labels.keys():
            return None
        return "".join(_text(part, facts, labels) for part in self.parts)


def fault_of_values(tags: Tags) -> str | None:
    """Return what STS would not take in the values of *tags*, in one sentence."""
    for key, value in tags:
        if len(value) > _LONGEST_VALUE or not _is_text(value):
            return (
                f"the tag {quoted(key)} is {quoted(value)}: STS takes at most {_LONGEST_VALUE} "
                "letters, digits, blanks and _.:/=+-@"
            )
    return None


def faults_of_keys(keys: list[str]) -> Iterator[str]:
    """Yield what STS would not take in *keys*, a sentence each."""
    if len(keys) > _MOST:
        yield f"there are {len(keys)} session tags: STS takes at most {_MOST}"
    for key in keys:
        if not 1 <= len(key) <= _LONGEST_KEY or not _is_text(key) or key[:4].lower() == "aws:":
            yield (
                f"the session tag {quoted(key)} is no key that STS takes: 1 to {_LONGEST_KEY} "
                "letters, digits, blanks and _.:/=+-@, and not aws: at its beginning"
            )
    # STS tells keys apart without regard to case.
    folded = [key.casefold() for key in keys]
    yield from (
        f"the session tag {quoted(key)} is configured twice"
        for index, key in enumerate(keys)
        if key.casefold() in folded[:index]
    )


def _part(literal: str, braced: str) -> str | Field | Label:
    if not literal:
        is_label = braced.startswith(_LABEL) and len(braced) > len(_LABEL)
        return Label(braced.removeprefix(_LABEL)) if is_label else field_of(braced)
    if not _is_text(literal):
        raise ValueError(
            f"{quoted(literal)} has a character that STS does not take in a tag; accepted are "
            "letters, digits, blanks and _.:/=+-@, fields as in session names, and {label:KEY}"
        )
    return literal


def _text(part: str | Field | Label, facts: Mapping[Field, str], labels: Mapping[str, str]) -> str:
    if isinstance(part, Label):
        return labels[part.key]
    return facts[part] if isinstance(part, Field) else part


def _is_text(text: str) -> bool:
    try:
        return _TEXT.fullmatch(text) is not None
    except UnicodeError:  # Half of a surrogate pair.
        return False
