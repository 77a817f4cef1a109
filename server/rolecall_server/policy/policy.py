"""Who may have what: one pod and its namespace go in, a decision and its reason come out."""

import re
from collections.abc import Iterator
from typing import Final

from rolecall_common.quoting import quoted
from rolecall_proto.values import Reason
from rolecall_server.model.decisions import Decision, Denied, Entitled, Gone, Pending, Remark
from rolecall_server.model.pods import Namespace, Pod
from rolecall_server.policy.allowed_roles import AllowedDialect
from rolecall_server.policy.identity_builder import identity_of
from rolecall_server.policy.namespace_rules import Evaluation, NamespaceRules
from rolecall_server.policy.role_arns import Malformed, RoleArn, resolve, shown
from rolecall_server.policy.rules import NamespaceMode, PolicySettings
from rolecall_server.policy.session_tags import Tags, fault_of_values

_EXTERNAL_ID = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")  # STS's alphabet and limits.
_KUBE2IAM = frozenset({AllowedDialect.KUBE2IAM, AllowedDialect.KUBE2IAM_REGEXP})

# Most pods of a cluster get one of these: they are kept once.
_NONE: Final = Denied(Reason.NO_ROLE, "the pod has no role annotation, and there is no default")
_EXPLICITLY_NONE: Final = Denied(Reason.NO_ROLE, "the pod's role annotation is empty")
_MIRROR: Final = Denied(
    Reason.MIRROR_POD, "a mirror pod, written by its node and not by the cluster, has no role"
)
_GONE: Final = Denied(Reason.NAMESPACE_GONE, "the pod's namespace is gone")
_UNKNOWN: Final = Pending(Reason.NAMESPACE_UNKNOWN)


class Policy:
    """Decides by rules that are fixed at start. Pure: same pod and namespace, same answer."""

    def __init__(self, settings: PolicySettings) -> None:
        self._settings = settings
        self._rules = NamespaceRules(
            settings.permitted_dialect, settings.allowed_dialect, settings.base
        )
        self._exempt = _exempt_role(settings)

    def decide(self, pod: Pod, namespace: Namespace | Gone | None) -> Decision:
        """Decide on *pod*, in *namespace* as it is known: None is not known yet.

        Raises nothing, whatever a pod and a namespace that were parsed say.
        """
        wished = pod.wish.role if pod.wish else None
        if wished == "":
            return _EXPLICITLY_NONE
        if pod.mirror:
            # The default is no wish of a mirror pod, and no reason to complain about it.
            return _MIRROR if wished else _NONE
        if namespace is None:
            return _UNKNOWN  # Without an annotation too: the namespace may have a default role.
        if isinstance(namespace, Gone):
            return _GONE if wished else _NONE
        wished = wished or self._default(namespace)
        return self._in_role(pod, namespace, wished) if wished else _NONE

    def _default(self, namespace: Namespace) -> str | None:
        own = namespace.default_role
        return self._settings.default_role if own is None else own

    def _in_role(self, pod: Pod, namespace: Namespace, wished: str) -> Decision:
        role = resolve(wished, self._settings.base)
        if isinstance(role, Malformed):
            return Denied(Reason.ROLE_MALFORMED, f"the role {role.why}")
        evaluation = self._evaluate(namespace, role)
        identity = identity_of(pod, role, self._settings)
        denied = (
            self._account(role)
            or self._namespace(namespace, role, evaluation)
            or self._external_id(pod)
            or _tags(identity.tags)
        )
        if denied:
            return denied
        return Entitled(
            identity=identity,
            role_shown=shown(role, self._settings.base),
            notes=tuple(self._remarks(pod, namespace, role, evaluation)),
        )

    def _account(self, role: RoleArn) -> Denied | None:
        accounts = self._settings.allowed_accounts
        if not accounts or role.account in accounts:
            return None
        return Denied(
            Reason.ACCOUNT_FORBIDDEN,
            f"the role {role} is in account {role.account}, which is not an allowed one",
        )

    def _evaluate(self, namespace: Namespace, role: RoleArn) -> Evaluation:
        if self._settings.namespace_mode is NamespaceMode.OFF or role == self._exempt:
            return Evaluation()
        return self._rules.evaluate(namespace, role)

    def _namespace(
        self, namespace: Namespace, role: RoleArn, evaluation: Evaluation
    ) -> Denied | None:
        if evaluation.permits or self._settings.namespace_mode is not NamespaceMode.ENFORCE:
            return None
        return Denied(Reason.NAMESPACE_FORBIDS, _forbidden(namespace, role, evaluation))

    def _external_id(self, pod: Pod) -> Denied | None:
        wished = pod.wish.external_id if pod.wish else None
        if wished is None:
            return None
        if not self._settings.allow_pod_external_id:
            return Denied(
                Reason.EXTERNAL_ID_FORBIDDEN, "pods are not allowed to choose an external id"
            )
        if not _EXTERNAL_ID.fullmatch(wished):
            return Denied(
                Reason.EXTERNAL_ID_MALFORMED,
                f"the external id {quoted(wished)} is not 2 to 1,224 letters, digits and _+=,.@:/-",
            )
        return None

    def _remarks(
        self, pod: Pod, namespace: Namespace, role: RoleArn, evaluation: Evaluation
    ) -> Iterator[Remark]:
        if pod.host_network:
            yield Remark(
                Reason.HOST_NETWORK_UNSUPPORTED,
                "the pod shares its node's network: the metadata endpoint does not serve it",
            )
        if not evaluation.permits:
            yield Remark(Reason.NAMESPACE_FORBIDS, _forbidden(namespace, role, evaluation))
        yield from _remarks_on_rule(namespace, evaluation)
        if pod.wish and pod.wish.session_name and not self._settings.allow_pod_session_name:
            yield Remark(
                Reason.SESSION_NAME_IGNORED, "pods are not allowed to choose a session name"
            )
        if pod.wish and pod.wish.refused_tags:
            yield Remark(
                Reason.TAGS_IGNORED, "the pod has session tags with keys that are not allowed"
            )


def _remarks_on_rule(namespace: Namespace, evaluation: Evaluation) -> Iterator[Remark]:
    if evaluation.faults:
        yield Remark(
            Reason.RULE_PARTLY_INVALID,
            f"in the rule of namespace {namespace.name} {'; '.join(evaluation.faults[:3])}",
        )
    if evaluation.everything:
        yield Remark(
            Reason.RULE_PERMITS_EVERYTHING,
            f"the rule of namespace {namespace.name} permits every role of every account",
        )


def _forbidden(namespace: Namespace, role: RoleArn, evaluation: Evaluation) -> str:
    objections = " and ".join(evaluation.objections)
    return f"namespace {namespace.name} does not permit the role {role}: {objections}"


def _tags(tags: Tags) -> Denied | None:
    fault = fault_of_values(tags)
    return Denied(Reason.TAGS_INVALID, fault) if fault else None


def _exempt_role(settings: PolicySettings) -> RoleArn | None:
    # With kube2iam's rules its default role needs nobody's permission, however it is asked for.
    if settings.default_role is None or settings.allowed_dialect not in _KUBE2IAM:
        return None
    role = resolve(settings.default_role, settings.base)
    return role if isinstance(role, RoleArn) else None
