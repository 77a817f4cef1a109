"""Settings: which pod may have which role."""

from dataclasses import dataclass
from enum import StrEnum

from rolecall_common.settings import types
from rolecall_common.settings.declare import setting
from rolecall_server.policy.allowed_roles import AllowedDialect
from rolecall_server.policy.namespace_rules import PermittedDialect
from rolecall_server.policy.rules import NamespaceMode


class Imdsv2(StrEnum):
    OPTIONAL = "optional"
    REQUIRED = "required"


_ACCOUNT = types.matching(r"[0-9]{12}", "an account's 12 digits", "ACCOUNT")
_ROLE = types.matching(
    r"[\w+=,.@/:-]{1,640}", "a role's name, path name or ARN, as in an annotation", "ROLE"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSettings:
    """A pod gets its role only where each of these says yes."""

    namespace_policy: NamespaceMode = setting(
        types.choice(NamespaceMode),
        "Whether a namespace limits the roles of its pods. warn serves, and records what enforce "
        "would deny; off does not look.",
        default=NamespaceMode.ENFORCE,
    )
    permitted_dialect: PermittedDialect = setting(
        types.choice(PermittedDialect),
        "How a namespace's regular expression is read. strict: the whole ARN must match; kiam: "
        "exactly as kiam does, its surprises included.",
        default=PermittedDialect.STRICT,
    )
    allowed_roles_dialect: AllowedDialect = setting(
        types.choice(AllowedDialect),
        "How entries of a namespace's list are read. kube2iam: exactly as kube2iam does.",
        default=AllowedDialect.GLOB,
    )
    allowed_accounts: tuple[str, ...] = setting(
        types.several(_ACCOUNT), "Accounts whose roles may be had; empty for any.", default=()
    )
    default_role: str | None = setting(
        types.optional(_ROLE), "The role of pods without an annotation.", default=None
    )
    allow_pod_session_name: bool = setting(
        types.SWITCH, "Let a pod choose {name} of its session's name.", default=False
    )
    allow_pod_external_id: bool = setting(
        types.SWITCH, "Let a pod choose the external id.", default=False
    )
    imdsv2: Imdsv2 = setting(
        types.choice(Imdsv2),
        "Whether a metadata request needs a token. Namespaces can require it for themselves.",
        default=Imdsv2.OPTIONAL,
    )
