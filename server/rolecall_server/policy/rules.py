"""What policy is told at start, checked once."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from rolecall_common.quoting import quoted
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.policy.allowed_roles import AllowedDialect
from rolecall_server.policy.namespace_rules import PermittedDialect
from rolecall_server.policy.role_arns import BaseArn, Malformed, resolve
from rolecall_server.policy.session_names import OF_EACH_POD, Field, Template
from rolecall_server.policy.session_tags import TagTemplate, faults_of_keys

# STS's limits.
_SHORTEST, _LONGEST = timedelta(minutes=15), timedelta(hours=12)
_LONGEST_POLICY = 2048


class NamespaceMode(enum.StrEnum):
    """What the rules of namespaces are good for."""

    ENFORCE = "enforce"
    WARN = "warn"  # Serve, and say what would be denied.
    OFF = "off"


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """The rules of a cluster.

    Raises ValueError, one line per problem, where STS would refuse every call made by them all
    together. Each text for itself is what its setting accepts.
    """

    base: BaseArn | None = None
    region: str = ""
    session_duration: timedelta = timedelta(hours=1)
    keys: AnnotationKeys = field(default_factory=AnnotationKeys)
    namespace_mode: NamespaceMode = NamespaceMode.ENFORCE
    permitted_dialect: PermittedDialect = PermittedDialect.STRICT
    allowed_dialect: AllowedDialect = AllowedDialect.GLOB
    default_role: str | None = None
    allowed_accounts: frozenset[str] = frozenset()  # Empty: every account.
    allow_pod_external_id: bool = False
    allow_pod_session_name: bool = False
    session_name: Template = Template.parse("{namespace}.{service_account}")  # noqa: RUF009 (immutable)
    cluster_name: str = ""
    session_tags: tuple[tuple[str, TagTemplate], ...] = ()
    transitive_tags: frozenset[str] = frozenset()
    source_identity: Template | None = None
    session_policy: str | None = None
    policy_arns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if problems := [*self._problems()]:
            raise ValueError("\n".join(problems))

    @property
    def tag_keys(self) -> tuple[str, ...]:
        """Every key that a session may have a tag for."""
        return tuple(key for key, _ in self.session_tags) + tuple(sorted(self.keys.pod_tags))

    @property
    def fields(self) -> frozenset[Field]:
        """Every field that makes identities differ."""
        named = self.session_name.fields
        named |= self.source_identity.fields if self.source_identity else frozenset()
        return named.union(*(template.fields for _, template in self.session_tags))

    @property
    def parts_each_pod(self) -> bool:
        """Whether no two pods share a session, so that there are as many sessions as pods."""
        return not self.fields.isdisjoint(OF_EACH_POD)

    def _problems(self) -> Iterator[str]:
        if not _SHORTEST <= self.session_duration <= _LONGEST:
            yield f"a session of {self.session_duration}: STS takes 15 minutes to 12 hours"
        if self.default_role is not None:
            role = resolve(self.default_role, self.base)
            if isinstance(role, Malformed):
                yield f"defaultRole: {role.why}"
        if Field.CLUSTER in self.fields and not self.cluster_name:
            yield "the cluster's name is used in session names or tags, and is not configured"
        yield from self._problems_of_tags()
        yield from self._problems_of_policies()

    def _problems_of_tags(self) -> Iterator[str]:
        keys = list(self.tag_keys)
        labels = frozenset[str]().union(*(template.labels for _, template in self.session_tags))
        for label in sorted(labels - set(self.keys.labels)):
            yield f"the label {quoted(label)} is used in a session tag, and is not among the kept"
        yield from faults_of_keys(keys)
        for key in sorted(self.transitive_tags - set(keys)):
            yield f"the transitive tag {quoted(key)} is no session tag"

    def _problems_of_policies(self) -> Iterator[str]:
        texts = (self.session_policy or "", *self.policy_arns)
        if self.session_policy is not None and sum(map(len, texts)) > _LONGEST_POLICY:
            yield f"the session policy and policy ARNs are longer than {_LONGEST_POLICY} characters"
