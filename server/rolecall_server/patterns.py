"""What a namespace permits: kiam's regular expression and kube2iam's list, read and matched.

Expressions are RE2: they take linear time whatever they say. Each is compiled on its own and never
put together with other text, except where a dialect promises to do exactly as kiam did.
"""

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import re2  # type: ignore[import-untyped]  # it ships no types

from rolecall_server.roles import BaseArn, Role, is_arn

# A namespace's annotations have 256 KiB in all; no list of roles that a person wrote comes near.
LONGEST_EXPRESSION = 16 * 1024
MOST_ENTRIES = 1000
# RE2's own default is eight times that; a hostile repetition is refused sooner.
_MOST_MEMORY = 1 << 20
# Compiled rules that are kept: namespaces share them, and a cluster has some thousand namespaces.
_KEPT = 4096

Matcher = Callable[[str], bool]


class Permitted(enum.StrEnum):
    """How a namespace's `permitted` is read."""

    STRICT = "strict"  # The whole ARN must match.
    KIAM = "kiam"  # `^` and `$` around the text as it stands, so that `a|b` means what it meant.
    KIAM_UNANCHORED = "kiam-unanchored"  # kiam with its strict expressions switched off.


class AllowedRoles(enum.StrEnum):
    """How the entries of a namespace's `allowed-roles` are read."""

    GLOB = "glob"  # `*` stays within one part of a path, `**` crosses.
    REGEXP = "regexp"  # The whole must match.
    KUBE2IAM_GLOB = "kube2iam-glob"  # `*` crosses.
    KUBE2IAM_REGEXP = "kube2iam-regexp"  # A match of the beginning is enough.


class PatternError(ValueError):
    """A rule that cannot be read; it permits nothing. The text is one sentence."""


@dataclass(frozen=True, slots=True)
class Entries:
    """A list of allowed roles, and what is wrong with those entries that cannot be read."""

    # The matcher of each entry, and whether it wants the whole ARN or what follows the base.
    matchers: tuple[tuple[Matcher, bool], ...]
    problems: tuple[str, ...] = ()

    def permit(self, role: Role, base: BaseArn | None) -> bool:
        rest = None
        if base is not None and role.arn.startswith(base.prefix):
            rest = role.arn.removeprefix(base.prefix)
        return any(
            match(role.arn) if whole else rest is not None and match(rest)
            for match, whole in self.matchers
        )


@lru_cache(_KEPT)
def permitted(text: str, dialect: Permitted) -> Matcher:
    """Return what tells whether an ARN is permitted by *text*. Raises PatternError."""
    if not text:
        return _nothing
    match dialect:
        case Permitted.STRICT:
            expression = _compile(text)
            return lambda arn: expression.fullmatch(arn) is not None
        case Permitted.KIAM:
            expression = _compile(f"^{text}$")
        case Permitted.KIAM_UNANCHORED:
            expression = _compile(text)
    return lambda arn: expression.search(arn) is not None


@lru_cache(_KEPT)
def allowed_roles(text: str, dialect: AllowedRoles) -> Entries:
    """Read a list of allowed roles; an entry that cannot be read voids only itself.

    Raises: PatternError where *text* is no list.
    """
    if not text:
        return Entries(())
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PatternError("allowed-roles is not a JSON list") from error
    if not isinstance(entries, list):
        raise PatternError("allowed-roles is JSON, but not a list")
    if len(entries) > MOST_ENTRIES:
        raise PatternError(f"allowed-roles has more than {MOST_ENTRIES} entries")
    matchers: list[tuple[Matcher, bool]] = []
    problems: list[str] = []
    for number, entry in enumerate(entries, start=1):
        try:
            matchers.append(_entry(entry, dialect))
        except PatternError as error:
            problems.append(f"entry {number} of allowed-roles permits nothing: {error}")
    return Entries(tuple(matchers), tuple(problems))


def _entry(entry: object, dialect: AllowedRoles) -> tuple[Matcher, bool]:
    if not isinstance(entry, str):
        raise PatternError("it is not a string")
    text = entry.removeprefix("/")
    if not text:
        raise PatternError("it is empty")
    whole = is_arn(text)
    if whole:
        text = "arn:" + text[4:]
    match dialect:
        case AllowedRoles.GLOB:
            return _glob(text, one_part="[^/:]*"), whole
        case AllowedRoles.KUBE2IAM_GLOB:
            return _glob(text, one_part=".*"), whole
        case AllowedRoles.REGEXP:
            expression = _compile(text)
            return (lambda candidate: expression.fullmatch(candidate) is not None), whole
        case AllowedRoles.KUBE2IAM_REGEXP:
            # There the base stands before the entry, so that an entry matches at the beginning of
            # what follows; an entry that is an ARN matches anywhere.
            unanchored = _compile(text)
            find = unanchored.search if whole else unanchored.match
            return (lambda candidate: find(candidate) is not None), whole


def _glob(text: str, one_part: str) -> Matcher:
    crossing = [
        one_part.join(re2.escape(part) for part in piece.split("*")) for piece in text.split("**")
    ]
    expression = _compile(".*".join(crossing))
    return lambda candidate: expression.fullmatch(candidate) is not None


def _compile(text: str) -> "re2._Regexp[str]":
    if len(text) > LONGEST_EXPRESSION:
        raise PatternError(f"the expression is longer than {LONGEST_EXPRESSION} characters")
    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.log_errors = False  # RE2 would write to stderr past our log.
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise PatternError(f"RE2 does not accept the expression: {_said(error)}") from error
    except UnicodeEncodeError as error:
        raise PatternError("the expression has half a character in it") from error


def _said(error: re2.error) -> str:
    reason = error.args[0] if error.args else ""
    text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    return text[:200]


def _nothing(_: str) -> bool:
    return False  # An annotation that is there and empty permits nothing.
