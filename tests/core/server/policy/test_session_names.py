"""Session names: contract §4."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import hostile
from rolecall_server.policy.session_names import Field, Template, arithmetic, fitted

FACTS = {
    Field.NAMESPACE: "shop",
    Field.SERVICE_ACCOUNT: "web",
    Field.POD: "web-1",
    Field.UID: "11-22",
    Field.NODE: "node-a",
    Field.CLUSTER: "prod",
    Field.ROLE: "reader",
    Field.NAME: "kiam",
}
STS = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{namespace}.{service_account}", "shop.web"),
        ("kiam-{name}", "kiam-kiam"),
        ("{pod}", "web-1"),
        ("{uid}@{node}", "11-22@node-a"),
        ("{cluster}={role}", "prod=reader"),
        ("fixed", "fixed"),
        ("{role}{role}", "readerreader"),
    ],
)
def test_a_template_is_literal_text_and_fields(text: str, expected: str) -> None:
    """Every field of the contract can be named."""
    assert Template.parse(text).render(FACTS) == expected


@pytest.mark.parametrize(
    "text",
    ["", "{", "}", "{}", "{pod", "pod}", "{{pod}}", "{Pod}", "{pod!r}", "{pod.x}", "a b", "é",
     "a/b", "x\n", "{namespace}:{pod}", "x" * 65],
)  # fmt: skip
def test_a_template_that_is_none_is_refused_with_what_is_accepted(text: str) -> None:
    """It is a setting: its fault ends the start."""
    with pytest.raises(ValueError, match=r"accepted are|STS's 64"):
        Template.parse(text)


def test_a_long_name_keeps_a_readable_head_and_stays_the_same() -> None:
    """Two that differ only at their ends still differ."""
    one, other = fitted("team-" + "x" * 100 + "1"), fitted("team-" + "x" * 100 + "2")

    assert one != other
    assert one == fitted("team-" + "x" * 100 + "1")
    assert one.startswith("team-xxxx")
    assert len(one) == 64


def test_names_that_were_cut_are_known_by_these_texts() -> None:
    """A change here would give every long name a new session on upgrade."""
    assert fitted("n" * 65) == "n" * 55 + "-632177bd"
    assert fitted("n" * 64) == "n" * 64


def test_characters_beyond_the_alphabet_become_hyphens() -> None:
    """As kiam has it."""
    assert fitted("a b/c:d|é\n") == "a-b-c-d---"


@pytest.mark.parametrize(("text", "expected"), [("", "--"), ("x", "x-"), ("xy", "xy")])
def test_a_short_name_is_filled_up(text: str, expected: str) -> None:
    """STS takes no fewer than two characters."""
    assert fitted(text) == expected


@pytest.mark.parametrize("text", hostile.SESSION_NAMES)
def test_a_hostile_name_becomes_one_that_sts_takes(text: str) -> None:
    """Nothing of it can break a line or a log."""
    assert STS.fullmatch(fitted(text))


@given(st.text(max_size=200))
def test_any_text_becomes_a_name_that_sts_takes(text: str) -> None:
    """In its alphabet, of its length."""
    assert STS.fullmatch(fitted(text))


@given(st.text(max_size=40))
def test_a_template_parses_or_says_why_not(text: str) -> None:
    """Nothing but ValueError, and what parses renders."""
    try:
        template = Template.parse(text)
    except ValueError:
        return

    assert STS.fullmatch(template.render(FACTS))


def test_the_arithmetic_of_a_session_for_every_pod() -> None:
    """Calls a second at 44 % of an hour, and minutes from cold at the limiter's rate."""
    said = arithmetic(Template.parse("{pod}"), 100_000, 100, timedelta(hours=1))

    assert said == (
        "the session name {pod} makes a session of every pod: 100,000 pods = 100,000 sessions = "
        "63.1 calls of STS a second to renew them, and 16.7 minutes from cold at 100 calls a second"
    )


def test_a_template_that_pods_can_share_has_no_arithmetic() -> None:
    """There is nothing to warn of."""
    template = Template.parse("{namespace}.{service_account}")

    assert arithmetic(template, 100_000, 100, timedelta(hours=1)) is None
