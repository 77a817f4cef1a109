"""Where paths lead, and which spellings name a role."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_agent.decision import Route, Target
from rolecall_agent.metadata.routes import NO_DOCUMENT, find, is_role_of
from rolecall_proto.values import Assignment, PodUid, SessionId, State

BASE = "arn:aws:iam::111122223333:role/"
ROLES = b"/latest/meta-data/iam/security-credentials"


def assignment(role_arn: str) -> Assignment:
    return Assignment(
        PodUid("u"), "ns", "p", "sa", (), State.GRANTED, "r", role_arn, SessionId("s")
    )


@pytest.mark.parametrize(
    ("path", "route"),
    [
        (ROLES, Route.ROLE_LIST),
        (ROLES + b"/", Route.ROLE_LIST),
        (b"/" + ROLES, Route.ROLE_LIST),
        (ROLES.replace(b"latest", b"1.0"), Route.ROLE_LIST),
        (ROLES.replace(b"latest", b"2024-02-29"), Route.ROLE_LIST),
        (ROLES.replace(b"latest", b"2023-02-29"), Route.OTHER),
        (ROLES.replace(b"latest", b"0000-01-01"), Route.OTHER),
        (ROLES.replace(b"latest", b"20240229"), Route.OTHER),
        (b"/latest/api/token", Route.TOKEN),
        (b"/latest/api/token/", Route.TOKEN_SLASH),
        (b"/1.0/api/token", Route.DATED_TOKEN),
        (b"/2021-03-23/api/token", Route.DATED_TOKEN),
        (b"/latest/api/token%20", Route.MALFORMED),
        (b"/%6catest/api/token", Route.MALFORMED),
        (b"///latest/api/token", Route.OTHER),
        (b"/", Route.LISTING),
        (b"//", Route.LISTING),
        (b"///", Route.OTHER),
        (b"/latest", Route.LISTING),
        (b"/1.0/", Route.LISTING),
        (b"/latest/meta-data", Route.LISTING),
        (b"/latest/dynamic/instance-identity/", Route.LISTING),
        (b"/latest/meta-data/placement/region/", Route.ITEM),
        (b"/latest/meta-data/placement/region//", Route.OTHER),
        (b"/latest/meta-data/placement/regions", Route.OTHER),
        (b"/latest/meta-data/iam/info", Route.ROLE_INFO),
        (b"/latest/meta-data/iam/information", Route.OTHER),
        (b"", Route.OTHER),
    ],
)
def test_a_path_leads_to_its_route(path: bytes, route: Route) -> None:
    """Exactly these paths, and none that only looks like them."""
    assert find(path).route is route


def test_the_role_is_decoded_once() -> None:
    """Not at all would miss what clients encode; twice would read what nobody wrote."""
    assert find(ROLES + b"/a%2Fb").role == b"a/b"
    assert find(ROLES + b"/a%252Fb").role == b"a%2Fb"


@pytest.mark.parametrize("rest", [b"//a", b"/a//b", b"-extended/", b"-extended/a", b"s"])
def test_what_no_role_can_be_is_no_document(rest: bytes) -> None:
    """It is refused as a credential path: without a body."""
    assert find(ROLES + rest) == NO_DOCUMENT


@given(st.binary(max_size=200))
def test_every_path_leads_somewhere(path: bytes) -> None:
    """Nothing a client sends is an error of ours."""
    for whole in (path, ROLES + b"/" + path, b"/latest/" + path):
        assert isinstance(find(whole), Target)


@pytest.mark.parametrize(
    ("asked", "arn"),
    [
        (b"reader", BASE + "reader"),
        (b"/reader", BASE + "reader"),
        (b"team/reader", BASE + "team/reader"),
        (b"/team/reader", BASE + "team/reader"),
        (BASE.encode() + b"reader", BASE + "reader"),
        (b"ARN" + BASE[3:].encode() + b"reader", BASE + "reader"),
        (b"arn:aws:iam::444455556666:role/x/y", "arn:aws:iam::444455556666:role/x/y"),
        (b"reader/", BASE + "reader"),
        (b"team/reader/", BASE + "team/reader"),
        (BASE.encode() + b"team/reader/", BASE + "team/reader"),
        (b"arn:aws:iam::444455556666:role/x/y/", "arn:aws:iam::444455556666:role/x/y"),
    ],
)
def test_every_spelling_of_the_role_is_the_role(asked: bytes, arn: str) -> None:
    """As in the table of contract §2."""
    assert is_role_of(asked, assignment(arn), BASE)


@pytest.mark.parametrize(
    "asked",
    [
        b"",
        b"/",
        b"Reader",
        b"//reader",
        b"reader//",
        b"reader/x/",
        b"team/",
        b"team/reader",
        b"arn:",
        b"AWS:iam",
        b"arn:aws:iam::999999999999:role/reader",
        b"arn:AWS:iam::111122223333:role/reader",
        b"reader\n",
        b"reader\0",
        "reäder".encode(),
        b"\xff",
    ],
)
def test_everything_else_is_another_role(asked: bytes) -> None:
    """Nothing is guessed."""
    assert not is_role_of(asked, assignment(BASE + "reader"), BASE)


def test_without_a_base_only_an_arn_names_a_role() -> None:
    """A short name could be anybody's."""
    assert not is_role_of(b"reader", assignment(BASE + "reader"), "")
    assert is_role_of(BASE.encode() + b"reader", assignment(BASE + "reader"), "")


def test_a_base_may_be_any_prefix() -> None:
    """Short names follow it literally."""
    assert is_role_of(b"reader", assignment(BASE + "prod-reader"), BASE + "prod-")


@pytest.mark.parametrize("asked", [b"/", b"team/", b"team//", b"team/reader//", b"team/writer/"])
def test_a_slash_behind_a_part_of_the_role_names_no_role(asked: bytes) -> None:
    """Only the whole role may have it."""
    assert not is_role_of(asked, assignment(BASE + "team/reader"), BASE)


@pytest.mark.parametrize("asked", [b"", b"arn:", b"/"])
def test_a_pod_without_a_role_has_no_spelling_of_it(asked: bytes) -> None:
    """The empty ARN equals nothing."""
    assert not is_role_of(asked, assignment(""), BASE)


@given(st.binary(max_size=60))
def test_whatever_is_asked_for_is_compared_without_an_error(asked: bytes) -> None:
    """Hostile names are other names."""
    matches = is_role_of(asked, assignment(BASE + "reader"), BASE)

    assert matches == (asked.removeprefix(b"/").removesuffix(b"/") == b"reader")
