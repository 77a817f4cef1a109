"""May this caller have that role, with all that it asks for? The answer depends on the role."""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from fakes.sts.limits import AssumeRole
from fakes.sts.mint import role_id
from fakes.sts.principals import Principal, Role, parse_role
from fakes.sts.refusal import RefusalError, invalid

# AWS keeps its packed format to itself: this stands in for it, deflated text against this size.
PACKED_BYTES = 2048

_CHAINED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Granted:
    """Who the caller becomes, and how much of the packed size was used, if any was."""

    principal: Principal
    packed_percent: int | None


def assume(asked: AssumeRole, role: Role | None, caller: Principal) -> Granted:
    """Return what *caller* gets; raise RefusalError where it may not."""
    found = parse_role(asked.role_arn)
    if found is None:
        raise invalid(f"{asked.role_arn} is invalid")
    if role is None or not _is_allowed(asked, role, caller):
        raise RefusalError(
            403,
            "AccessDenied",
            f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: "
            f"{asked.role_arn}",
        )
    _check_duration(asked, role, caller)
    tags = _inherited(asked, caller)
    name = f"assumed-role/{found['name']}/{asked.session_name}"
    principal = Principal(
        arn=f"arn:{found['partition']}:sts::{found['account']}:{name}",
        user_id=f"{role_id(asked.role_arn)}:{asked.session_name}",
        role_arn=asked.role_arn,
        source_identity=asked.source_identity or caller.source_identity,
        transitive_tags=tags,
    )
    return Granted(principal, _packed_percent(asked))


def _is_allowed(asked: AssumeRole, role: Role, caller: Principal) -> bool:
    changes_source = asked.source_identity is not None and caller.source_identity not in (
        None,
        asked.source_identity,
    )
    return (
        role.is_trusting(caller)
        # A trust policy without the condition takes any external id, as AWS does.
        and role.external_id in (None, asked.external_id)
        and (role.allows_tags or not asked.tags)
        and (role.allows_source_identity or asked.source_identity is None)
        and not changes_source
    )


def _check_duration(asked: AssumeRole, role: Role, caller: Principal) -> None:
    if asked.duration > role.max_session:
        raise invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    if caller.role_arn is not None and asked.duration > _CHAINED:
        raise invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining"
        )


def _inherited(asked: AssumeRole, caller: Principal) -> Mapping[str, str]:
    inherited = {key.casefold() for key in caller.transitive_tags}
    if taken := sorted(key for key in asked.tags if key.casefold() in inherited):
        raise RefusalError(
            400,
            "InvalidParameterValue",
            f"One of the specified transitive tag keys can't be set because it conflicts with a "
            f"transitive tag key from the calling session: {taken}",
        )
    own = {key: asked.tags[key] for key in asked.transitive_keys}
    return {**caller.transitive_tags, **own}


def _packed_percent(asked: AssumeRole) -> int | None:
    if not (asked.tags or asked.policy or asked.policy_arns):
        return None
    text = [asked.policy or "", *asked.policy_arns]
    for key, value in asked.tags.items():
        text += (key, value)
    size = len(zlib.compress("\0".join(text).encode()))
    percent = math.ceil(100 * size / PACKED_BYTES)
    if percent > 100:
        raise RefusalError(
            400,
            "PackedPolicyTooLarge",
            f"Packed policy consumes {percent}% of allotted space, please use smaller policy.",
        )
    return percent
