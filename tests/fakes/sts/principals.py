"""Who may call, and which roles there are: what IAM would know."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):(?P<service>iam|sts)::(?P<account>\d{12}):(?P<resource>.+)",
    re.ASCII | re.DOTALL,
)
_ROLE = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/"
    r"(?P<path>([\x21-\x2e\x30-\x7e]+/)*)(?P<name>[\w+=,.@-]{1,64})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller, as GetCallerIdentity tells it."""

    arn: str
    user_id: str = "AIDAEXAMPLEEXAMPLE00"
    # The role whose session this is; None for a user. It makes the next AssumeRole chaining.
    role_arn: str | None = None
    source_identity: str | None = None
    transitive_tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def account(self) -> str:
        found = _ARN.fullmatch(self.arn)
        return found["account"] if found else ""


@dataclass(frozen=True, slots=True)
class Key:
    """Credentials that the fake accepts; *ends* None means a user's long-lived ones."""

    access_key_id: str
    secret: str = field(repr=False)
    principal: Principal
    token: str | None = field(default=None, repr=False)
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """A role, with as much of its trust policy as tests need.

    *trusts* lists principals: `*`, an account id, or the ARN of a user, a role or one session.
    """

    arn: str
    trusts: tuple[str, ...] = ("*",)
    external_id: str | None = None
    max_session: timedelta = timedelta(hours=1)
    allows_tags: bool = True
    allows_source_identity: bool = True

    def is_trusting(self, caller: Principal) -> bool:
        root = f":iam::{caller.account}:root"
        names = {"*", caller.account, caller.arn, caller.role_arn}
        return any(trusted in names or trusted.endswith(root) for trusted in self.trusts)


def parse_role(arn: str) -> re.Match[str] | None:
    """Return partition, account, path and name of a role's ARN; None for anything else."""
    return _ROLE.fullmatch(arn) if "//" not in arn else None


def is_arn(text: str) -> bool:
    return text.startswith("arn:") and text.count(":") >= 5
