"""The roles, rules and namespaces of the simulated cluster, and who is entitled by them.

Written down as a table and not decided by the policy, so that the policy is checked too.
"""

from rolecall_server.model.pods import Namespace
from simulation.server import Known

_BASE = "arn:aws:iam::111122223333:role/"
OTHER_ACCOUNT = "arn:aws:iam::444455556666:role/other"

# What pods may be annotated with, and what it resolves to; None where it is no role.
ROLES: dict[str | None, str | None] = {
    "reader": _BASE + "reader",
    "/writer": _BASE + "writer",
    "team/admin": _BASE + "team/admin",
    _BASE + "reader": _BASE + "reader",
    OTHER_ACCOUNT: OTHER_ACCOUNT,
    "arn:bad": None,
    "": None,
    None: None,
}
ARNS = sorted({arn for arn in ROLES.values() if arn is not None})
# What namespaces may permit, and which roles that is.
RULES: dict[str | None, frozenset[str]] = {
    ".*": frozenset(ARNS),
    _BASE + "(reader|writer)": frozenset({_BASE + "reader", _BASE + "writer"}),
    _BASE + "team/.*": frozenset({_BASE + "team/admin"}),
    "*": frozenset(),  # Not a regular expression.
    "": frozenset(),
    None: frozenset(),
}
NAMESPACES = ("blue", "green", "red")
ACCOUNTS = ("app", "job")


def namespace(name: str, number: int) -> Namespace:
    """Return the namespace *name* with one of the rules; most often the one that permits all."""
    rules = [*RULES, ".*", ".*", ".*", ".*", ".*"]
    return Namespace(name, permitted=rules[number % len(rules)])


def role(number: int) -> str | None:
    return [*ROLES, "reader", "/writer", "team/admin"][number % (len(ROLES) + 3)]


def identity_of(known: Known) -> tuple[str, str] | None:
    """Return the role ARN and session name that a pod is entitled to; None: to nothing."""
    wish, rule = known.pod.wish, known.namespace
    arn = ROLES[wish.role] if wish is not None else None
    if arn is None or rule is None or arn not in RULES[rule.permitted]:
        return None
    return arn, f"{known.pod.namespace}.{known.pod.service_account}"
