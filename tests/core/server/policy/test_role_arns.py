"""Roles: contract §2, line by line."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core import hostile
from rolecall_server.policy.role_arns import BaseArn, Malformed, RoleArn, resolve, shown

P = "arn:aws:iam::111122223333:role/"
BASE = BaseArn.parse(P)
OTHER = "arn:aws:iam::444455556666:role/x/y"

RESOLVED = [
    # value, resolved, as the pod sees it
    ("reader", P + "reader", "reader"),
    ("/reader", P + "reader", "reader"),
    ("team/reader", P + "team/reader", "team/reader"),
    ("/team/reader", P + "team/reader", "team/reader"),
    ("  reader\t", P + "reader", "reader"),
    (OTHER, OTHER, OTHER),
    ("ARN:aws:iam::444455556666:role/x/y", OTHER, OTHER),
    ("Arn:aws:iam::444455556666:role/x/y", OTHER, OTHER),
    (P + "reader", P + "reader", "reader"),
    (P + "team/reader", P + "team/reader", "team/reader"),
    ("a+b=c,d.e@f-g_h", P + "a+b=c,d.e@f-g_h", "a+b=c,d.e@f-g_h"),
    ("a..b", P + "a..b", "a..b"),
    ("x" * 64, P + "x" * 64, "x" * 64),
    ("p" * 510 + "/x", P + "p" * 510 + "/x", "p" * 510 + "/x"),
    ("role/reader", P + "role/reader", "role/reader"),
    # Odd, and IAM takes it: a path may hold anything printable.
    ("%2e%2e/admin", P + "%2e%2e/admin", "%2e%2e/admin"),
]


@pytest.mark.parametrize(("value", "arn", "seen"), RESOLVED)
def test_every_spelling_resolves_as_the_contract_says(value: str, arn: str, seen: str) -> None:
    """A name, a path and a name, and an ARN each mean one role, and each is shown one way."""
    role = resolve(value, BASE)

    assert isinstance(role, RoleArn)
    assert (role.text, shown(role, BASE)) == (arn, seen)


def test_spellings_of_one_role_are_equal() -> None:
    """Whatever a role was written as, the same role compares equal."""
    spellings = ["reader", "/reader", " reader ", P + "reader", "ARN" + P[3:] + "reader"]

    assert len({resolve(each, BASE) for each in spellings}) == 1


@pytest.mark.parametrize(
    "partition", ["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"]
)
def test_every_partition_of_aws_is_known(partition: str) -> None:
    """Roles of China, GovCloud and the isolated regions resolve."""
    arn = f"arn:{partition}:iam::111122223333:role/x"

    assert str(resolve(arn, None)) == arn


@pytest.mark.parametrize("value", ["", " ", "\t", *hostile.ROLES])
@pytest.mark.parametrize("base", [BASE, None])
def test_what_is_no_role_is_malformed_with_a_short_reason(value: str, base: BaseArn | None) -> None:
    """Nothing that IAM would refuse gets through, and the reason can be logged as it is."""
    result = resolve(value, base)

    assert isinstance(result, Malformed)
    assert result.why.isprintable()
    assert len(result.why) < 1000


def test_without_a_base_short_names_are_malformed_and_arns_work() -> None:
    """The reason says what is missing."""
    result = resolve("reader", None)

    assert isinstance(result, Malformed)
    assert "no base ARN" in result.why
    assert str(resolve(OTHER, None)) == OTHER


def test_the_role_knows_its_account_and_name() -> None:
    """Both come from the ARN, whatever path is between."""
    role = resolve(OTHER, BASE)

    assert isinstance(role, RoleArn)
    assert (role.account, role.name) == ("444455556666", "y")


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("arn:aws:iam::111122223333:role", P),
        (P, P),
        (P + "team/", P + "team/"),
        (P + "prod-", P + "prod-"),
    ],
)
def test_a_base_is_a_literal_prefix(text: str, prefix: str) -> None:
    """Only a base that ends in `role` gets a slash."""
    assert BaseArn.parse(text).prefix == prefix


def test_short_names_continue_a_prefix() -> None:
    """With a base of `…:role/prod-`, `reader` is `prod-reader`, and is shown as `reader`."""
    base = BaseArn.parse(P + "prod-")
    role = resolve("/reader", base)

    assert isinstance(role, RoleArn)
    assert role.text == P + "prod-reader"
    assert shown(role, base) == "reader"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "role",
        "arn:aws:iam::1:role/",
        P[:-5],
        P + "/",
        P + "a//b",
        P + "../",
        P + "a b",
        P + "é",
    ],
)
def test_a_base_that_is_none_is_refused(text: str) -> None:
    """It is a setting: its fault ends the start, and its form has an example."""
    with pytest.raises(ValueError, match="no role's ARN begins so"):
        BaseArn.parse(text)


@pytest.mark.parametrize(
    ("caller", "prefix"),
    [
        ("arn:aws:sts::111122223333:assumed-role/server/i-0abc", P),
        ("arn:aws:iam::111122223333:user/rolecall", P),
        ("arn:aws-cn:sts::111122223333:assumed-role/a/b", "arn:aws-cn:iam::111122223333:role/"),
    ],
)
def test_a_base_is_found_from_the_servers_own_identity(caller: str, prefix: str) -> None:
    """The account and partition of GetCallerIdentity are the base."""
    assert BaseArn.of_caller(caller).prefix == prefix


def test_a_caller_that_is_none_is_refused() -> None:
    """An odd answer of GetCallerIdentity does not become a base."""
    with pytest.raises(ValueError, match="not the ARN of a user or role"):
        BaseArn.of_caller("arn:aws:s3:::bucket")


ROLE_LIKE = st.text(alphabet="ab/:.-*@ \tARNarn", max_size=30) | st.text(max_size=30)


@given(value=ROLE_LIKE, base=st.sampled_from([BASE, BaseArn.parse(P + "prod-"), None]))
@example(value=P + "arn:x/y", base=BASE)
@example(value=P + "prod-/x/y", base=BaseArn.parse(P + "prod-"))
def test_what_a_pod_is_shown_leads_back_to_its_role(value: str, base: BaseArn | None) -> None:
    """Resolving never raises, and showing loses nothing."""
    role = resolve(value, base)

    if isinstance(role, RoleArn):
        assert resolve(shown(role, base), base) == role
        assert RoleArn.parse(role.text) == role


@given(rest=st.text(alphabet="ab/:.-*@arn", max_size=30))
def test_what_is_under_the_base_leads_back_too(rest: str) -> None:
    """Also a role whose path looks like an ARN."""
    role = RoleArn.parse(P + rest)

    if isinstance(role, RoleArn):
        assert resolve(shown(role, BASE), BASE) == role
