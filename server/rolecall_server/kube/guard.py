"""Checks whether the API server keeps nodes from writing the annotations that we read.

A kubelet may write annotations of its pods through their status, and create mirror pods anywhere.
The chart installs a ValidatingAdmissionPolicy against that. Where it is missing, whoever has one
node may give its pods other roles: the log and a metric say so.
"""

import enum
import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

import msgspec

from rolecall_common.clock import Clock
from rolecall_server.kube.api import Api, ApiError, RejectedError
from rolecall_server.model.annotations import AnnotationKeys

log = logging.getLogger(__name__)

# A policy is taken away by hand, if ever: minutes are soon enough, and one request each is nothing.
_PERIOD = timedelta(minutes=5)
# Nobody could be asked: sooner again, so that the metric is true soon after an outage.
_SOON = timedelta(seconds=30)
_JITTER = 0.2
_PATH = "/apis/admissionregistration.k8s.io/v1/"
_NOT_FOUND = 404
# What the chart's policy says that it guards.
_KEYS, _PREFIXES, _LABELS = (
    "rolecall.io/guarded-annotations",
    "rolecall.io/guarded-annotation-prefixes",
    "rolecall.io/guarded-labels",
)
# How a node may write what a pod is annotated with, and the one condition by which the chart's
# policy leaves everybody else alone.
_WRITES = tuple((how, what) for what in ("pods", "pods/status") for how in ("CREATE", "UPDATE"))
_BY_A_NODE = "has(request.userInfo.groups) && 'system:nodes' in request.userInfo.groups"


class _Metadata(msgspec.Struct, frozen=True):
    annotations: dict[str, str] | None = None


class _Rule(msgspec.Struct, frozen=True, rename="camel"):
    api_groups: list[str] = []
    api_versions: list[str] = []
    operations: list[str] = []
    resources: list[str] = []
    resource_names: list[str] = []
    scope: str = "*"

    def covers(self, operation: str, resource: str) -> bool:
        """Tell whether it has every pod looked at in *operation* on *resource*."""
        return (
            not {"", "*"}.isdisjoint(self.api_groups)
            and not {"v1", "*"}.isdisjoint(self.api_versions)
            and not {operation, "*"}.isdisjoint(self.operations)
            and resource in self.resources
            and not self.resource_names
            and self.scope in {"*", "Namespaced"}
        )


class _Constraints(msgspec.Struct, frozen=True, rename="camel"):
    resource_rules: list[_Rule] = []
    exclude_resource_rules: list[object] = []
    namespace_selector: dict[str, object] = {}
    object_selector: dict[str, object] = {}


class _Condition(msgspec.Struct, frozen=True):
    expression: str
    name: str = ""


class _PolicySpec(msgspec.Struct, frozen=True, rename="camel"):
    failure_policy: str | None = None
    match_constraints: _Constraints = _Constraints()
    match_conditions: list[_Condition] = []
    validations: list[object] = []


class _Policy(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    spec: _PolicySpec = _PolicySpec()


class _BindingSpec(msgspec.Struct, frozen=True):
    policy_name: str = msgspec.field(default="", name="policyName")
    actions: list[str] = msgspec.field(default_factory=list, name="validationActions")
    match_resources: dict[str, object] | None = msgspec.field(default=None, name="matchResources")


class _Binding(msgspec.Struct, frozen=True):
    spec: _BindingSpec = _BindingSpec()


class GuardState(enum.Enum):
    IN_PLACE = "in place"
    MISSING = "missing"
    UNKNOWN = "unknown"  # The API server did not say.


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check of the guard found; *problem* is a sentence, empty where all is well."""

    state: GuardState
    problem: str = ""


class NodeGuard:
    """Checks from time to time; *finding* is what the last check found."""

    def __init__(
        self, api: Api, name: str, keys: AnnotationKeys, clock: Clock, dice: random.Random
    ) -> None:
        self.finding = Finding(GuardState.UNKNOWN, "it was not looked for yet")
        self._api = api
        self._name = name
        self._keys = keys
        self._clock = clock
        self._dice = dice

    async def run(self) -> NoReturn:
        """Check until cancelled, and log what is news."""
        while True:
            finding = await self._check()
            if finding != self.finding:
                self.finding = finding
                self._log(finding)
            period = _SOON if finding.state is GuardState.UNKNOWN else _PERIOD
            await self._clock.sleep(period * (1 + _JITTER * self._dice.random()))

    async def _check(self) -> Finding:
        try:
            policy = await self._api.get(f"{_PATH}validatingadmissionpolicies/{self._name}")
            binding = await self._api.get(f"{_PATH}validatingadmissionpolicybindings/{self._name}")
        except RejectedError as error:
            if error.status == _NOT_FOUND:
                return Finding(GuardState.MISSING, "there is no such policy, or no binding of it")
            return Finding(GuardState.UNKNOWN, str(error))
        except ApiError as error:
            return Finding(GuardState.UNKNOWN, str(error))
        return evaluate(policy, binding, self._name, self._keys)

    def _log(self, finding: Finding) -> None:
        fields = {"policy": self._name, "reason": finding.problem}
        match finding.state:
            case GuardState.IN_PLACE:
                log.info("the node guard is in place", extra={"policy": self._name})
            case GuardState.MISSING:
                log.error(
                    "the node guard is missing: a node may choose its pods' roles", extra=fields
                )
            case GuardState.UNKNOWN:
                log.warning("it is not known whether the node guard is in place", extra=fields)


def evaluate(policy: bytes, binding: bytes, name: str, keys: AnnotationKeys) -> Finding:
    """Tell whether *policy* and *binding* guard *keys*. Raises nothing, whatever they say."""
    try:
        guard = msgspec.json.decode(policy, type=_Policy)
        bound = msgspec.json.decode(binding, type=_Binding).spec
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Finding(GuardState.UNKNOWN, f"it is unreadable: {error}")
    problem = (
        _problem_of_policy(guard.spec)
        or _problem_of_binding(bound, name)
        or _unguarded(guard.metadata.annotations or {}, keys)
    )
    return Finding(GuardState.MISSING, problem) if problem else Finding(GuardState.IN_PLACE)


def _problem_of_policy(spec: _PolicySpec) -> str:
    # What its validations say is the chart's to test; that they are asked at all is looked at here.
    if spec.failure_policy not in {None, "Fail"}:  # None stands for the default.
        return "its failurePolicy lets pass what it cannot judge"
    seen = spec.match_constraints
    for operation, resource in _WRITES:
        if not any(rule.covers(operation, resource) for rule in seen.resource_rules):
            return f"it does not look at {operation} of {resource}"
    # Empty selectors are what the API server fills in: they limit nothing.
    if seen.namespace_selector or seen.object_selector or seen.exclude_resource_rules:
        return "its matchConstraints leave out some pods"
    strange = [each.name for each in spec.match_conditions if each.expression != _BY_A_NODE]
    if strange:
        return f"it has conditions that are not the chart's: {', '.join(strange)}"
    return "" if spec.validations else "it has no validations"


def _problem_of_binding(bound: _BindingSpec, name: str) -> str:
    if bound.policy_name != name or "Deny" not in bound.actions:
        return "its binding does not deny"
    limits = (bound.match_resources or {}).items()
    if any(said for what, said in limits if what != "matchPolicy"):
        return "its binding limits what it looks at"
    return ""


def _unguarded(notes: dict[str, str], keys: AnnotationKeys) -> str:
    wanted = (
        (_KEYS, {*keys.role, *keys.external_id, *keys.session_name}),
        (_PREFIXES, set(keys.session_tag_prefix)),
        (_LABELS, set(keys.labels)),
    )
    missing = [key for note, read in wanted for key in _missing(read, notes.get(note, ""))]
    return f"it does not guard {', '.join(missing)}" if missing else ""


def _missing(read: Iterable[str], guarded: str) -> list[str]:
    return sorted(set(read) - set(guarded.split(",")))
