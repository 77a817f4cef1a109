"""What annotations and labels ask for, and under which keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_PREFIX = "iam.amazonaws.com/"
_BLANKS = " \t"
# Nothing that STS takes is longer (ExternalId: 1,224; an ARN: under 700). What is longer is cut
# here, and still too long for whoever checks it, so that a megabyte is not kept.
_LONGEST = 2048

Notes = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class AnnotationKeys:
    """Which keys are read: of several for one meaning, the first that is filled wins."""

    role: tuple[str, ...] = (_PREFIX + "role",)
    external_id: tuple[str, ...] = (_PREFIX + "external-id",)
    session_name: tuple[str, ...] = (_PREFIX + "session-name",)
    # What follows is the tag's key.
    session_tag_prefix: tuple[str, ...] = (_PREFIX + "session-tag.",)
    # The keys that pods may give a session tag for; others are counted and left.
    pod_tags: frozenset[str] = frozenset()
    # Labels whose values become session tags.
    labels: tuple[str, ...] = ()
    # On namespaces.
    permitted: tuple[str, ...] = (_PREFIX + "permitted",)
    allowed_roles: tuple[str, ...] = (_PREFIX + "allowed-roles",)
    default_role: tuple[str, ...] = (_PREFIX + "default-role",)
    imdsv2: tuple[str, ...] = (_PREFIX + "imdsv2",)


@dataclass(frozen=True, slots=True)
class Wish:
    """What one pod's annotations and labels ask for; nothing of it is checked yet."""

    role: str | None = None  # None: not annotated. Empty: explicitly none.
    external_id: str | None = None
    session_name: str | None = None
    tags: tuple[tuple[str, str], ...] = ()  # Sorted by key; allowed keys only.
    labels: tuple[tuple[str, str], ...] = ()
    refused_tags: int = 0  # Tags for keys that nobody allowed.


def first_filled(notes: Notes, keys: Sequence[str]) -> str | None:
    """Return the first of *keys* that is filled, an empty text if one is there, else None."""
    present = [notes[key] or "" for key in keys if key in notes]
    return next((text for text in present if text.strip(_BLANKS)), "" if present else None)


def read_wish(notes: Notes, labels: Notes, keys: AnnotationKeys) -> Wish | None:
    """Return what is asked for, or None where nothing is: most pods ask for nothing."""
    tags, refused = _tags(notes, keys)
    wish = Wish(
        role=_role(notes, keys),
        external_id=_cut(first_filled(notes, keys.external_id)) or None,
        session_name=_cut(first_filled(notes, keys.session_name)) or None,
        tags=tags,
        labels=tuple((key, _cut(labels[key]) or "") for key in keys.labels if key in labels),
        refused_tags=refused,
    )
    return None if wish == _NOTHING else wish


def _role(notes: Notes, keys: AnnotationKeys) -> str | None:
    text = first_filled(notes, keys.role)
    return None if text is None else _cut(text.strip(_BLANKS))


def _tags(notes: Notes, keys: AnnotationKeys) -> tuple[tuple[tuple[str, str], ...], int]:
    found: dict[str, str] = {}
    refused = 0
    for prefix in keys.session_tag_prefix:
        for key in [each.removeprefix(prefix) for each in notes if each.startswith(prefix)]:
            if key in keys.pod_tags:
                found.setdefault(key, _cut(notes[prefix + key]) or "")
            else:
                refused += 1
    return tuple(sorted(found.items())), refused


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:_LONGEST]


_NOTHING = Wish()
