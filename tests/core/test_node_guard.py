"""Whether a policy keeps nodes from our annotations is judged by what it says it guards."""

import json
from typing import Any

import pytest

from rolecall_server.annotations import AnnotationKeys
from rolecall_server.kube.guard import GuardState, judge

NAME = "rolecall-node-guard"
GUARDED = {
    "rolecall.io/guarded-annotations": "iam.amazonaws.com/role,iam.amazonaws.com/external-id,"
    "iam.amazonaws.com/session-name",
    "rolecall.io/guarded-annotation-prefixes": "iam.amazonaws.com/session-tag.",
    "rolecall.io/guarded-labels": "",
}
BOUND = {"policyName": NAME, "validationActions": ["Deny"]}


def judged(
    notes: dict[str, str] | None = None,
    bound: object = None,
    keys: AnnotationKeys | None = None,
    **spec: Any,  # noqa: ANN401 - whatever a policy may say
) -> tuple[GuardState, str]:
    policy = {"metadata": {"annotations": GUARDED if notes is None else notes}, "spec": spec}
    binding = {"spec": BOUND if bound is None else bound}
    keys = keys or AnnotationKeys()
    finding = judge(json.dumps(policy).encode(), json.dumps(binding).encode(), NAME, keys)
    return finding.state, finding.problem


def test_the_charts_own_policy_is_in_place() -> None:
    """It names what it guards, fails closed, and its binding denies."""
    assert judged(failurePolicy="Fail") == (GuardState.IN_PLACE, "")
    assert judged() == (GuardState.IN_PLACE, "")


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
    state, said = judged(bound=bound)

    assert state is GuardState.MISSING
    assert problem in said


def test_a_binding_with_empty_selectors_limits_nothing() -> None:
    """The API server fills them in."""
    limits = {"namespaceSelector": {}, "objectSelector": {}, "matchPolicy": "Equivalent"}

    assert judged(bound={**BOUND, "matchResources": limits})[0] is GuardState.IN_PLACE


def test_a_policy_that_lets_pass_what_it_cannot_judge_is_no_guard() -> None:
    """`Ignore` is what an attacker waits for."""
    assert judged(failurePolicy="Ignore")[0] is GuardState.MISSING


def test_every_key_that_is_read_must_be_guarded() -> None:
    """A server with keys of its own beside a chart with the usual ones is named, key by key."""
    keys = AnnotationKeys(
        role=("example.com/role", "iam.amazonaws.com/role"),
        session_tag_prefix=("example.com/tag.",),
        labels=("team",),
    )

    state, problem = judged(keys=keys)

    assert state is GuardState.MISSING
    assert problem == "it does not guard example.com/role, example.com/tag., team"


def test_a_policy_of_somebody_else_guards_nothing_of_ours() -> None:
    """Without a word on what it guards it is not taken for the guard."""
    assert judged(notes={})[0] is GuardState.MISSING


@pytest.mark.parametrize("text", [b"", b"[]", b'{"spec": 5}', b'{"spec":{"validationActions":5}}'])
def test_an_unreadable_answer_is_no_answer(text: bytes) -> None:
    """Nobody is alarmed, nobody is reassured."""
    assert judge(b"{}", text, NAME, AnnotationKeys()).state is GuardState.UNKNOWN
    assert judge(text, b"{}", NAME, AnnotationKeys()).state is not GuardState.IN_PLACE
