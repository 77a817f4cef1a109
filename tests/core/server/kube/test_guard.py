"""Whether a policy keeps nodes from our annotations is evaluated by what it says it guards."""

import json
from typing import Any

import pytest

from rolecall_server.kube.guard import GuardState, evaluate
from rolecall_server.model.annotations import AnnotationKeys

NAME = "rolecall-node-guard"
GUARDED = {
    "rolecall.io/guarded-annotations": "iam.amazonaws.com/role,iam.amazonaws.com/external-id,"
    "iam.amazonaws.com/session-name",
    "rolecall.io/guarded-annotation-prefixes": "iam.amazonaws.com/session-tag.",
    "rolecall.io/guarded-labels": "",
}
BOUND = {"policyName": NAME, "validationActions": ["Deny"]}
RULE = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE"],
    "resources": ["pods", "pods/status", "pods/ephemeralcontainers"],
    "scope": "*",
}
BY_A_NODE = {
    "name": "by-a-node",
    "expression": "has(request.userInfo.groups) && 'system:nodes' in request.userInfo.groups",
}
SPEC = {
    "failurePolicy": "Fail",
    "matchConstraints": {"resourceRules": [RULE], "namespaceSelector": {}, "objectSelector": {}},
    "matchConditions": [BY_A_NODE],
    "validations": [{"expression": "…"}],
}


def evaluated(
    notes: dict[str, str] | None = None,
    bound: object = None,
    keys: AnnotationKeys | None = None,
    **spec: Any,  # noqa: ANN401 - whatever a policy may say
) -> tuple[GuardState, str]:
    metadata = {"annotations": GUARDED if notes is None else notes}
    policy = {"metadata": metadata, "spec": {**SPEC, **spec}}
    binding = {"spec": BOUND if bound is None else bound}
    keys = keys or AnnotationKeys()
    finding = evaluate(json.dumps(policy).encode(), json.dumps(binding).encode(), NAME, keys)
    return finding.state, finding.problem


def test_the_charts_own_policy_is_in_place() -> None:
    """It names what it guards, fails closed, and its binding denies."""
    assert evaluated() == (GuardState.IN_PLACE, "")
    assert evaluated(failurePolicy=None) == (GuardState.IN_PLACE, "")


@pytest.mark.parametrize(
    ("bound", "problem"),
    [
        ({**BOUND, "validationActions": ["Warn", "Audit"]}, "does not deny"),
        ({**BOUND, "policyName": "another"}, "does not deny"),
        (
            {**BOUND, "matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}}},
            "limits what it looks at",
        ),
        ({}, "does not deny"),
    ],
)
def test_a_binding_that_does_not_deny_everywhere_is_no_guard(bound: object, problem: str) -> None:
    """Somebody may have put it to warn, or to one namespace, and forgotten it."""
    state, said = evaluated(bound=bound)

    assert state is GuardState.MISSING
    assert problem in said


def test_a_binding_with_empty_selectors_limits_nothing() -> None:
    """The API server fills them in."""
    limits = {"namespaceSelector": {}, "objectSelector": {}, "matchPolicy": "Equivalent"}

    assert evaluated(bound={**BOUND, "matchResources": limits})[0] is GuardState.IN_PLACE


def test_a_policy_that_lets_pass_what_it_cannot_judge_is_no_guard() -> None:
    """`Ignore` is what an attacker waits for."""
    assert evaluated(failurePolicy="Ignore")[0] is GuardState.MISSING


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ([], "it does not look at CREATE of pods"),
        ([{**RULE, "operations": ["CREATE"]}], "it does not look at UPDATE of pods"),
        ([{**RULE, "resources": ["pods"]}], "it does not look at CREATE of pods/status"),
        ([{**RULE, "apiGroups": ["apps"]}], "it does not look at CREATE of pods"),
        ([{**RULE, "apiVersions": ["v2"]}], "it does not look at CREATE of pods"),
        ([{**RULE, "scope": "Cluster"}], "it does not look at CREATE of pods"),
        ([{**RULE, "resourceNames": ["web"]}], "it does not look at CREATE of pods"),
    ],
)
def test_a_policy_that_does_not_look_at_every_write_is_no_guard(
    rules: list[object], problem: str
) -> None:
    """A node has two ways to write an annotation, and creates pods besides."""
    assert evaluated(matchConstraints={"resourceRules": rules}) == (GuardState.MISSING, problem)


def test_two_rules_may_share_what_there_is_to_look_at() -> None:
    """Whoever writes one rule for each operation, or for all, has a guard as well."""
    each = [{**RULE, "operations": [operation]} for operation in ("CREATE", "UPDATE")]
    every = [{**RULE, "apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"]}]

    assert evaluated(matchConstraints={"resourceRules": each})[0] is GuardState.IN_PLACE
    assert evaluated(matchConstraints={"resourceRules": every})[0] is GuardState.IN_PLACE


@pytest.mark.parametrize(
    "limit",
    [
        {"namespaceSelector": {"matchLabels": {"a": "b"}}},
        {"objectSelector": {"matchLabels": {"a": "b"}}},
        {"excludeResourceRules": [RULE]},
    ],
)
def test_a_policy_that_leaves_out_some_pods_is_no_guard(limit: dict[str, object]) -> None:
    """Whoever may choose which pods those are may choose their roles."""
    said = evaluated(matchConstraints={"resourceRules": [RULE], **limit})

    assert said == (GuardState.MISSING, "its matchConstraints leave out some pods")


def test_a_condition_of_somebody_else_is_no_guard() -> None:
    """A policy that never comes to its validations denies nothing; more conditions, less guard."""
    never = {"name": "never", "expression": "false"}

    state, problem = evaluated(matchConditions=[BY_A_NODE, never])

    assert (state, problem) == (
        GuardState.MISSING,
        "it has conditions that are not the chart's: never",
    )
    assert evaluated(matchConditions=[])[0] is GuardState.IN_PLACE  # It judges everybody then.


def test_a_policy_without_validations_is_no_guard() -> None:
    """It has nothing to deny by."""
    assert evaluated(validations=[]) == (GuardState.MISSING, "it has no validations")


def test_every_key_that_is_read_must_be_guarded() -> None:
    """A server with keys of its own beside a chart with the usual ones is named, key by key."""
    keys = AnnotationKeys(
        role=("example.com/role", "iam.amazonaws.com/role"),
        session_tag_prefix=("example.com/tag.",),
        labels=("team",),
    )

    state, problem = evaluated(keys=keys)

    assert state is GuardState.MISSING
    assert problem == "it does not guard example.com/role, example.com/tag., team"


def test_a_policy_of_somebody_else_guards_nothing_of_ours() -> None:
    """Without a word on what it guards it is not taken for the guard."""
    assert evaluated(notes={})[0] is GuardState.MISSING


@pytest.mark.parametrize("text", [b"", b"[]", b'{"spec": 5}', b'{"spec":{"validationActions":5}}'])
def test_an_unreadable_answer_is_no_answer(text: bytes) -> None:
    """Nobody is alarmed, nobody is reassured."""
    assert evaluate(b"{}", text, NAME, AnnotationKeys()).state is GuardState.UNKNOWN
    assert evaluate(text, b"{}", NAME, AnnotationKeys()).state is not GuardState.IN_PLACE
