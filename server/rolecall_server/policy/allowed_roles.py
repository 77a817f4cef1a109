"""The annotation `allowed-roles`: a JSON list of globs, or of regular expressions, for roles."""

import enum
import re
from dataclasses import dataclass
from typing import assert_never

import msgspec

from rolecall_common.quoting import quoted
from rolecall_server.policy.regex import Invalid, Matcher, full_match, literal, search
from rolecall_server.policy.role_arns import BaseArn, RoleArn

# All that the annotations of one object may hold in Kubernetes, and more entries than anyone
# writes by hand: each costs memory.
_LONGEST = 256 * 1024
_MOST = 1000
_STARS = re.compile(r"(\*+)")


class AllowedDialect(enum.StrEnum):
    """How the entries are read."""

    GLOB = "glob"  # `*` stays within one segment, `**` crosses.
    REGEXP = "regexp"  # The whole of what is looked at matches.
    KUBE2IAM = "kube2iam"  # As kube2iam's globs: `*` crosses.
    KUBE2IAM_REGEXP = "kube2iam-regexp"  # As kube2iam's expressions: any part matches.


@dataclass(frozen=True, slots=True)
class AllowedRoles:
    """A compiled list."""

    exact: frozenset[str]
    patterns: tuple[Matcher, ...]
    faults: tuple[str, ...]  # One sentence for each entry that permits nothing.

    def permits(self, role: RoleArn) -> bool:
        return role.text in self.exact or any(matches(role.text) for matches in self.patterns)


def parse_allowed(
    text: str, dialect: AllowedDialect, base: BaseArn | None
) -> AllowedRoles | Invalid:
    """Compile *text*. An invalid entry voids itself and no other; short ones are under *base*."""
    if len(text) > _LONGEST:
        return Invalid(f"the list is longer than {_LONGEST} characters")
    try:
        entries = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Invalid(f"{quoted(text)} is not a JSON list")
    if len(entries) > _MOST:
        return Invalid(f"the list has more than {_MOST} entries")
    read = [_entry(raw, dialect, base) for raw in entries]
    return AllowedRoles(
        exact=frozenset(each for each in read if isinstance(each, str)),
        patterns=tuple(each for each in read if not isinstance(each, str | Invalid)),
        faults=tuple(each.why for each in read if isinstance(each, Invalid)),
    )


def _entry(
    raw: msgspec.Raw, dialect: AllowedDialect, base: BaseArn | None
) -> str | Matcher | Invalid:
    try:
        entry = msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Invalid("an entry is not a string, and permits nothing")
    entry = entry.removeprefix("/")
    if not entry.strip():
        return Invalid("an entry is empty, and permits nothing")
    if entry[:4].lower() == "arn:":
        return _compiled("", "arn" + entry[3:], dialect)
    if base is None:
        return Invalid(f"the entry {quoted(entry)} is a short name, and there is no base ARN")
    return _compiled(base.prefix, entry, dialect)


def _compiled(prefix: str, entry: str, dialect: AllowedDialect) -> str | Matcher | Invalid:
    match dialect:
        case AllowedDialect.GLOB | AllowedDialect.KUBE2IAM:
            if "*" not in entry:
                return prefix + entry
            one = "[^/:]*" if dialect is AllowedDialect.GLOB else ".*"
            return full_match(literal(prefix) + _glob(entry, one))
        case AllowedDialect.REGEXP:
            return _after(prefix, full_match(entry))
        case AllowedDialect.KUBE2IAM_REGEXP:
            # As there, the base is part of the expression, so that `a|b` is "base and a, or b".
            # Other than there, it is taken literally, and a role beyond the base never matches.
            matches = search(literal(prefix) + entry)
            return matches if isinstance(matches, Invalid) else _under(prefix, matches)
        case _:
            assert_never(dialect)


def _glob(entry: str, one: str) -> str:
    """Translate *entry*; *one* is what a single star matches, two or more match anything."""
    return "".join(
        _star(part, one) if part.startswith("*") else literal(part) for part in _STARS.split(entry)
    )


def _star(stars: str, one: str) -> str:
    return one if len(stars) == 1 else ".*"


def _after(prefix: str, matches: Matcher | Invalid) -> Matcher | Invalid:
    """Match what follows *prefix*."""
    if isinstance(matches, Invalid):
        return matches
    return lambda arn: arn.startswith(prefix) and matches(arn[len(prefix) :])


def _under(prefix: str, matches: Matcher) -> Matcher:
    return lambda arn: arn.startswith(prefix) and matches(arn)
