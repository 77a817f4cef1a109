"""The annotation `permitted`: one regular expression on the ARN of a role."""

import enum
from dataclasses import dataclass
from typing import assert_never

from rolecall_server.policy.regex import Invalid, Test, anywhere, whole
from rolecall_server.policy.role_arns import RoleArn


class PermittedDialect(enum.StrEnum):
    """How the expression is read."""

    STRICT = "strict"  # The whole ARN matches.
    KIAM = "kiam"  # As kiam reads it: `^` and `$` put around the text as it stands.
    KIAM_UNANCHORED = "kiam-unanchored"  # As kiam reads it with its strict mode off.


@dataclass(frozen=True, slots=True)
class Permitted:
    """A compiled expression."""

    matches: Test

    def permits(self, role: RoleArn) -> bool:
        return self.matches(role.text)


def parse_permitted(text: str, dialect: PermittedDialect) -> Permitted | Invalid:
    """Compile *text*; an empty one is invalid in every dialect: it permits nothing."""
    if not text.strip():
        return Invalid("the expression is empty, which permits nothing")
    matches = _compiled(text, dialect)
    return matches if isinstance(matches, Invalid) else Permitted(matches)


def _compiled(text: str, dialect: PermittedDialect) -> Test | Invalid:
    match dialect:
        case PermittedDialect.STRICT:
            return whole(text)
        case PermittedDialect.KIAM:
            # Without a group, on purpose: `a|b` is "begins with a, or ends with b" there, and `*`
            # is a repeated `^`, which permits everything.
            return anywhere(f"^{text}$")
        case PermittedDialect.KIAM_UNANCHORED:
            return anywhere(text)
        case _:
            assert_never(dialect)
