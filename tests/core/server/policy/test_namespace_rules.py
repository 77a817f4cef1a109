"""Namespace rules: contract §3, in each dialect, and what they must not let through."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import hostile
from rolecall_server.model.pods import Namespace
from rolecall_server.policy.allowed_roles import AllowedDialect
from rolecall_server.policy.namespace_rules import NamespaceRules, PermittedDialect
from rolecall_server.policy.role_arns import BaseArn, RoleArn

P = "arn:aws:iam::111122223333:role/"
FAR = "arn:aws:iam::444455556666:role/"
BASE = BaseArn.parse(P)


def role(arn: str) -> RoleArn:
    """Return a role that is one; short names are under the base."""
    found = RoleArn.parse(arn if arn.startswith("arn:") else P + arn)
    assert isinstance(found, RoleArn)
    return found


def permits(expression: str, arn: str, dialect: PermittedDialect = PermittedDialect.STRICT) -> bool:
    """Tell whether a namespace with that `permitted` permits the role."""
    rules = NamespaceRules(permitted=dialect, base=BASE)
    return rules.evaluate(Namespace("shop", permitted=expression), role(arn)).permits


def allows(
    entries: object,
    arn: str,
    dialect: AllowedDialect = AllowedDialect.GLOB,
    base: BaseArn | None = BASE,
) -> bool:
    """Tell whether a namespace with that `allowed-roles` permits the role."""
    text = entries if isinstance(entries, str) else json.dumps(entries)
    rules = NamespaceRules(allowed=dialect, base=base)
    return rules.evaluate(Namespace("shop", allowed_roles=text), role(arn)).permits


STRICT = [
    # expression, role, permitted
    (P + "reader", "reader", True),
    (P + "reader", "reader-admin", False),
    (P + "(reader|writer)", "writer", True),
    (P + "a|" + P + "b", "a-admin", False),
    (P + "a|" + P + "b", "b", True),
    (P + "reader$", "reader", True),
    ("^" + P + "reader", "reader", True),
    ("reader", "reader", False),
    (".*", FAR + "x", True),
    (".*reader", "team/reader", True),
    (".*/team/.*", "team/x", True),
    ("(?i)ARN:.*", "x", True),
    (r"arn:aws:iam::\d{12}:role/x", FAR + "x", True),
    ("*", "x", False),
]


@pytest.mark.parametrize(("expression", "arn", "expected"), STRICT)
def test_strict_expressions_match_the_whole_arn(
    expression: str, arn: str, *, expected: bool
) -> None:
    """Neither more nor less than the ARN, and alternatives stay whole."""
    assert permits(expression, arn) is expected


KIAM = [
    (P + "good|nothing", "good-evil-suffix", True),
    ("x|.*evil", "is-evil", True),
    ("*", FAR + "anything", True),
    ("", "x", False),
    (P + "reader", "reader-admin", False),
    (P + ".*", "reader", True),
    ("reader", "reader", False),
    (P + "reader|reader", "my-reader", True),
]


@pytest.mark.parametrize(("expression", "arn", "expected"), KIAM)
def test_kiams_dialect_is_exactly_kiams(expression: str, arn: str, *, expected: bool) -> None:
    """With its alternation that escapes the anchors, so that nothing changes on the way here."""
    assert permits(expression, arn, PermittedDialect.KIAM) is expected


def test_kiams_dialect_without_anchors_searches() -> None:
    """As with its strict mode off; and an empty expression permits nothing there either."""
    assert permits("reader", "my-reader-x", PermittedDialect.KIAM_UNANCHORED)
    assert not permits("^reader", "reader", PermittedDialect.KIAM_UNANCHORED)
    assert not permits("", "reader", PermittedDialect.KIAM_UNANCHORED)


@pytest.mark.parametrize("expression", hostile.INVALID_EXPRESSIONS)
def test_an_invalid_expression_permits_nothing_and_says_why(expression: str) -> None:
    """In one short printable sentence."""
    evaluation = NamespaceRules().evaluate(Namespace("shop", permitted=expression), role("x"))

    assert not evaluation.permits
    assert all(each.isprintable() and len(each) < 500 for each in evaluation.objections)


@pytest.mark.parametrize("expression", hostile.SLOW_EXPRESSIONS)
@pytest.mark.parametrize("dialect", PermittedDialect)
def test_no_expression_takes_long(expression: str, dialect: PermittedDialect) -> None:
    """Elsewhere each of these takes longer than anyone waits."""
    long = role("p" * 500 + "/" + "a" * 60)
    rules = NamespaceRules(permitted=dialect)
    began = time.process_time()
    rules.evaluate(Namespace("shop", permitted=expression), long)

    assert time.process_time() - began < 5


GLOB = [
    # entries, role, allowed
    (["reader"], "reader", True),
    (["/reader"], "reader", True),
    (["reader"], "reader-admin", False),
    (["reader"], "team/reader", False),
    (["reader"], FAR + "reader", False),
    (["team/*"], "team/reader", True),
    (["team/*"], "team/x/admin", False),
    (["team/**"], "team/x/admin", True),
    (["team/***"], "team/x/admin", True),
    (["**/admin"], "team/x/admin", True),
    (["*-reader"], "my-reader", True),
    (["*-reader"], "team/my-reader", False),
    (["*"], "reader", True),
    (["*"], "team/reader", False),
    (["*"], FAR + "reader", False),
    (["**"], "team/reader", True),
    (["**"], FAR + "reader", False),
    (["a.c"], "abc", False),
    (["a.*"], "abc", False),
    (["[a-z]*"], "abc", False),
    (["(?i)*"], "abc", False),
    ([FAR + "reader"], FAR + "reader", True),
    (["ARN" + FAR[3:] + "reader"], FAR + "reader", True),
    ([FAR + "*"], FAR + "reader", True),
    ([FAR + "*"], FAR + "team/reader", False),
    (["arn:aws:iam::*:role/reader"], FAR + "reader", True),
    (["arn:aws:iam::*:role/reader"], FAR + "x/reader", False),
    (["arn:*"], FAR + "reader", False),
    (["arn:**"], FAR + "reader", True),
    (["nothing", "reader"], "reader", True),
    (["", None, 7, [], "reader"], "reader", True),
    (["a", None], "b", False),
]


@pytest.mark.parametrize(("entries", "arn", "expected"), GLOB)
def test_a_star_stays_within_a_segment_and_two_cross(
    entries: list[object], arn: str, *, expected: bool
) -> None:
    """Entries are taken literally but for stars, and short ones are of the base's account."""
    assert allows(entries, arn) is expected


REGEXP = [
    (["reader"], "reader", True),
    (["reader"], "reader-admin", False),
    (["a|b"], "a-admin", False),
    (["a|b"], "b", True),
    (["^reader$"], "reader", True),
    (["team/.*"], "team/x/admin", True),
    ([".*"], FAR + "reader", False),
    ([FAR + ".*"], FAR + "reader", True),
    (["^arn:.*"], FAR + "reader", False),
    (["[", "reader"], "reader", True),
    (["[", "a)|(?:.*"], "reader", False),
]


@pytest.mark.parametrize(("entries", "arn", "expected"), REGEXP)
def test_expressions_in_a_list_match_all_that_follows_the_base(
    entries: list[object], arn: str, *, expected: bool
) -> None:
    """Or the whole ARN where they are written so; an invalid one voids itself alone."""
    assert allows(entries, arn, AllowedDialect.REGEXP) is expected


KUBE2IAM = [
    (AllowedDialect.KUBE2IAM, ["*"], "team/reader", True),
    (AllowedDialect.KUBE2IAM, ["*"], FAR + "reader", False),
    (AllowedDialect.KUBE2IAM, ["team/*"], "team/x/admin", True),
    (AllowedDialect.KUBE2IAM, ["reader"], "reader-admin", False),
    (AllowedDialect.KUBE2IAM, ["arn:*"], FAR + "reader", True),
    (AllowedDialect.KUBE2IAM, ["a", None], "b", False),
    (AllowedDialect.KUBE2IAM_REGEXP, ["explicit"], "explicit-admin", True),
    (AllowedDialect.KUBE2IAM_REGEXP, ["explicit"], "team/explicit", False),
    (AllowedDialect.KUBE2IAM_REGEXP, ["^reader"], "reader", False),
    (AllowedDialect.KUBE2IAM_REGEXP, ["a|b$"], "web", True),
    (AllowedDialect.KUBE2IAM_REGEXP, ["a|b"], FAR + "b", False),
    (AllowedDialect.KUBE2IAM_REGEXP, ["", None], "reader", False),
    (AllowedDialect.KUBE2IAM_REGEXP, ["[", "reader"], "reader", True),
    (AllowedDialect.KUBE2IAM_REGEXP, [FAR + "x"], FAR + "x-y", True),
]


@pytest.mark.parametrize(("dialect", "entries", "arn", "expected"), KUBE2IAM)
def test_kube2iams_dialects_are_as_loose_as_there(
    dialect: AllowedDialect, entries: list[object], arn: str, *, expected: bool
) -> None:
    """Except that an empty or null entry permits nothing, and no short one leaves the base."""
    assert allows(entries, arn, dialect) is expected


@pytest.mark.parametrize("dialect", AllowedDialect)
def test_the_base_is_taken_literally(dialect: AllowedDialect) -> None:
    """A dot in the base's path is a dot."""
    base = BaseArn.parse(P + "team.a/")
    rules = NamespaceRules(allowed=dialect, base=base)
    namespace = Namespace("shop", allowed_roles='["x", "y*"]')

    assert rules.evaluate(namespace, role("team.a/x")).permits
    assert not rules.evaluate(namespace, role("teamXa/x")).permits
    assert not rules.evaluate(namespace, role("teamXa/y")).permits


@pytest.mark.parametrize("dialect", AllowedDialect)
def test_without_a_base_short_entries_permit_nothing(dialect: AllowedDialect) -> None:
    """There is nothing that they could mean."""
    assert not allows(["*", ".*", "reader"], "reader", dialect, base=None)
    assert allows([P + "reader"], "reader", dialect, base=None)


@pytest.mark.parametrize("text", hostile.USELESS_LISTS)
@pytest.mark.parametrize("dialect", AllowedDialect)
def test_a_useless_list_permits_nothing(text: str, dialect: AllowedDialect) -> None:
    """Whatever else it is: no list, no strings, too deep, too long, not Unicode."""
    rules = NamespaceRules(allowed=dialect, base=BASE)
    evaluation = rules.evaluate(Namespace("shop", allowed_roles=text), role("reader"))

    assert not evaluation.permits
    assert all(each.isprintable() for each in evaluation.objections + evaluation.faults)


def test_voided_entries_are_named() -> None:
    """So that whoever wrote them learns of it although the rest works."""
    rules = NamespaceRules(allowed=AllowedDialect.REGEXP, base=BASE)
    evaluation = rules.evaluate(
        Namespace("shop", allowed_roles='["[", 7, "", "reader"]'), role("reader")
    )

    assert evaluation.permits
    assert len(evaluation.faults) == 3
    assert "missing ]" in evaluation.faults[0]


@pytest.mark.parametrize(
    ("permitted", "allowed", "expected"),
    [
        (".*", '["reader"]', True),
        (".*", '["other"]', False),
        ("other", '["reader"]', False),
        ("", '["reader"]', False),
        (".*", "", False),
        (None, '["reader"]', True),
        (".*", None, True),
        (None, None, False),
    ],
)
def test_every_annotation_that_is_there_must_permit(
    permitted: str | None, allowed: str | None, *, expected: bool
) -> None:
    """One that is present and empty permits nothing; with none at all, nothing is permitted."""
    namespace = Namespace("shop", permitted=permitted, allowed_roles=allowed)

    assert NamespaceRules(base=BASE).evaluate(namespace, role("reader")).permits is expected


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [
        (Namespace("shop", permitted=".*"), True),
        (Namespace("shop", permitted=P + ".*"), False),
        (Namespace("shop", allowed_roles='["arn:**"]'), True),
        (Namespace("shop", allowed_roles='["**"]'), False),
        (Namespace("shop", permitted=".*", allowed_roles='["reader"]'), False),
        (Namespace("shop", permitted="["), False),
    ],
)
def test_a_rule_that_permits_everything_is_known(namespace: Namespace, *, expected: bool) -> None:
    """It is a rule like any other, and somebody should know."""
    assert NamespaceRules(base=BASE).evaluate(namespace, role("reader")).everything is expected


def test_a_text_is_compiled_once() -> None:
    """However many pods a namespace has."""
    rules = NamespaceRules(base=BASE)
    namespace = Namespace("shop", permitted="(x|y){300}" * 10 + "|.*", allowed_roles='["**"]')
    rules.evaluate(namespace, role("reader"))
    began = time.process_time()
    for _ in range(100):
        rules.evaluate(namespace, role("reader"))

    assert time.process_time() - began < 5


NAME = st.text(alphabet="ab-", min_size=1, max_size=4)


@given(
    path=st.lists(NAME, max_size=2),
    name=NAME,
    entry=st.text(alphabet="ab-/*", min_size=1, max_size=8),
)
def test_a_glob_matches_what_its_meaning_says(path: list[str], name: str, entry: str) -> None:
    """Against a matcher of another kind, written for the test alone."""
    subject = "/".join([*path, name])

    assert allows([entry], subject) is _matches(entry.removeprefix("/"), subject)


def _matches(glob: str, text: str) -> bool:
    if not glob:
        return not text
    if glob.startswith("**"):
        rest = glob.lstrip("*")
        return any(_matches(rest, text[n:]) for n in range(len(text) + 1))
    if glob.startswith("*"):
        segment = len(text.split("/", maxsplit=1)[0])
        return any(_matches(glob[1:], text[n:]) for n in range(segment + 1))
    return text[:1] == glob[0] and _matches(glob[1:], text[1:])


@given(
    permitted=st.none() | st.text(max_size=30),
    allowed=st.none() | st.text(max_size=30) | st.lists(st.text(max_size=9)).map(json.dumps),
    one=st.sampled_from(PermittedDialect),
    other=st.sampled_from(AllowedDialect),
)
def test_whatever_a_namespace_says_it_gets_a_verdict(
    permitted: str | None, allowed: str | None, one: PermittedDialect, other: AllowedDialect
) -> None:
    """Nothing is raised, and every objection can be logged as it is."""
    namespace = Namespace("shop", permitted=permitted, allowed_roles=allowed)
    evaluation = NamespaceRules(one, other, BASE).evaluate(namespace, role("reader"))

    assert all(each.isprintable() for each in evaluation.objections + evaluation.faults)
