"""Namespace rules: what the two annotations of a namespace, read together, permit.

`permitted` is one regular expression on the ARN of a role, and is compiled here; the list is
`allowed_roles`'. Nothing here raises, whatever an annotation says: what cannot be read permits
nothing.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

from rolecall_server.model.pods import Namespace
from rolecall_server.policy.allowed_roles import AllowedDialect, AllowedRoles, parse_allowed
from rolecall_server.policy.regex import Invalid, Matcher, full_match, search
from rolecall_server.policy.role_arns import BaseArn, RoleArn

# Each text is compiled once; with more rules than this in a cluster, some are compiled again.
_REMEMBERED = 512
# A role that nobody can have meant: what permits it permits everything.
_MEANT_BY_NOBODY = RoleArn(
    "arn:aws-iso-f:iam::000000000000:role/nobody/meant/this", "000000000000", "this"
)


class PermittedDialect(enum.StrEnum):
    """How the expression is read."""

    STRICT = "strict"  # The whole ARN matches.
    KIAM = "kiam"  # As kiam reads it: `^` and `$` put around the text as it stands.
    KIAM_UNANCHORED = "kiam-unanchored"  # As kiam reads it with its strict mode off.


@dataclass(frozen=True, slots=True)
class PermittedRoles:
    """A compiled expression."""

    matches: Matcher

    def permits(self, role: RoleArn) -> bool:
        return self.matches(role.text)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the rules of a namespace come to for one role."""

    objections: tuple[str, ...] = ()  # Sentences. The role is permitted if there is none.
    faults: tuple[str, ...] = ()  # What whoever wrote the rule should know in any case.
    everything: bool = False  # The rule permits any role of any account.

    @property
    def permits(self) -> bool:
        return not self.objections


class NamespaceRules:
    """Reads the annotations of namespaces, and remembers what it compiled."""

    def __init__(
        self,
        permitted: PermittedDialect = PermittedDialect.STRICT,
        allowed: AllowedDialect = AllowedDialect.GLOB,
        base: BaseArn | None = None,
    ) -> None:
        # Caches of this instance, not of the module: they live as long as it does.
        self._permitted = lru_cache(_REMEMBERED)(lambda text: parse_permitted(text, permitted))
        self._allowed = lru_cache(_REMEMBERED)(lambda text: parse_allowed(text, allowed, base))

    def evaluate(self, namespace: Namespace, role: RoleArn) -> Evaluation:
        """Tell whether all annotations that *namespace* has permit *role*; having none does not."""
        found: dict[str, PermittedRoles | AllowedRoles | Invalid] = {}
        if namespace.permitted is not None:
            found["permitted"] = self._permitted(namespace.permitted)
        if namespace.allowed_roles is not None:
            found["allowed-roles"] = self._allowed(namespace.allowed_roles)
        if not found:
            return Evaluation(("it has no annotation that permits any",))
        rules = [rule for rule in found.values() if not isinstance(rule, Invalid)]
        return Evaluation(
            objections=tuple(_objections(found, role)),
            faults=tuple(
                fault for rule in rules if isinstance(rule, AllowedRoles) for fault in rule.faults
            ),
            everything=len(rules) == len(found)
            and all(rule.permits(_MEANT_BY_NOBODY) for rule in rules),
        )


def _objections(
    found: dict[str, PermittedRoles | AllowedRoles | Invalid], role: RoleArn
) -> Iterator[str]:
    for name, rule in found.items():
        if isinstance(rule, Invalid):
            yield f"its annotation {name} permits nothing: {rule.why}"
        elif not rule.permits(role):
            yield f"its annotation {name} does not permit it"


def parse_permitted(text: str, dialect: PermittedDialect) -> PermittedRoles | Invalid:
    """Compile *text*; an empty one is invalid in every dialect: it permits nothing."""
    if not text.strip():
        return Invalid("the expression is empty, which permits nothing")
    matches = _compiled(text, dialect)
    return matches if isinstance(matches, Invalid) else PermittedRoles(matches)


def _compiled(text: str, dialect: PermittedDialect) -> Matcher | Invalid:
    match dialect:
        case PermittedDialect.STRICT:
            return full_match(text)
        case PermittedDialect.KIAM:
            # Without a group, on purpose: `a|b` is "begins with a, or ends with b" there, and `*`
            # is a repeated `^`, which permits everything.
            return search(f"^{text}$")
        case PermittedDialect.KIAM_UNANCHORED:
            return search(text)
        case _:
            assert_never(dialect)
