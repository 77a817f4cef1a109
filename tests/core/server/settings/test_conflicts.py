"""Settings of the server that contradict each other, or break a promise, are refused."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.common.settings.rig import problems, read
from rolecall_common.settings.durations import duration_text
from rolecall_common.settings.types import Raw
from rolecall_server.settings.listening import AuthenticationMode


def test_sessions_too_short_to_keep_the_promise_are_refused_with_the_sum() -> None:
    """The message shows the arithmetic, and names what would be accepted."""
    [problem] = problems({"session_duration": "20m"})

    assert "0.52 x 20m - 5m (reportedEarly) = 5m24s" in problem
    assert "accepted are 29m and more, or any with allowShortSessions" in problem
    assert read({"session_duration": "29m"}).sessions.least_reported_life > timedelta(minutes=10)


@given(
    duration=st.integers(15, 720),
    early=st.integers(0, 60),
    allowed=st.booleans(),
    chained=st.booleans(),
)
def test_sessions_are_refused_where_and_only_where_the_promise_would_break(
    duration: int, early: int, *, allowed: bool, chained: bool
) -> None:
    """0.52 of what a session really lasts, less what is reported early, is 10 minutes or more."""
    flags: dict[str, Raw] = {"session_duration": f"{duration}m", "reported_early": f"{early}m"}
    flags |= {"allow_short_sessions": "true"} if allowed else {}
    flags |= {"assume_role_arn": "arn:aws:iam::111122223333:role/rolecall"} if chained else {}
    lasts = min(duration, 60) if chained else duration

    if lasts * 52 - early * 100 < 1000 and not allowed:
        # Two, where what was asked for would break it as well as what STS makes of it.
        told = f"0.52 x {duration_text(timedelta(minutes=lasts))} - "
        assert any(told in problem for problem in problems(flags))
    else:
        assert read(flags).session_duration == timedelta(minutes=lasts)


def test_what_a_refusal_says_would_be_accepted_is_accepted() -> None:
    """Whoever follows the message need not come back."""
    role = "arn:aws:iam::111122223333:role/rolecall"
    long: dict[str, Raw] = {"assume_role_arn": role, "session_duration": "4h"}
    [problem] = problems({**long, "reported_early": "25m"})

    assert problem.startswith("reportedEarly: '25m' (from the command line): assumeRoleArn makes")
    assert "sessions last 1h at most" in problem
    assert "= 6m12s, and it is promised 10m: accepted is 21m and less" in problem
    assert read({**long, "reported_early": "21m"}).session_duration == timedelta(hours=1)


def test_a_promise_below_nothing_is_written_as_such() -> None:
    """The sum may come out negative."""
    [problem] = problems({"session_duration": "15m", "reported_early": "1h"})

    assert "0.52 x 15m - 1h (reportedEarly) = -52m12s" in problem


def test_short_sessions_can_be_asked_for_and_are_a_caution() -> None:
    """Whoever says so gets them, and is reminded at each start."""
    settings = read({"session_duration": "15m", "allow_short_sessions": "true"})

    assert list(settings.cautions()) == [
        "sessions under 1h leave little time to repair an outage of STS"
    ]


def test_a_server_that_assumes_a_role_first_gets_sessions_of_an_hour() -> None:
    """STS limits chained roles; the setting is capped, and that is said."""
    role = "arn:aws:iam::111122223333:role/rolecall"
    settings = read({"assume_role_arn": role, "session_duration": "4h"})

    assert settings.session_duration == timedelta(hours=1)
    assert list(settings.cautions()) == [
        "sessionDuration is capped at 1h: assumeRoleArn makes STS chain roles"
    ]


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({"manifests": "", "manifest_nodes": "a=10.0.0.0/16"}, "manifestNodes"),
        ({"listen": "0.0.0.0:8443"}, "listen"),
        ({"authentication": "token-review"}, "authentication"),
        ({"listen": "localhost:8443"}, "listen"),
        ({"manifests": "", "authentication": "loopback", "listen": "0.0.0.0:8443"}, "listen"),
        ({"fips": "true", "sts_endpoint": "https://sts.example"}, "fips"),
        ({"container_audience": "pods,rolecall"}, "containerAudience"),
        ({"session_name": "{cluster}.{pod}"}, "sessionName"),
        ({"transitive_tags": "team"}, "transitiveTags"),
        ({"manifest_nodes": "a=10.0.0.0/16,b=10.0.1.0/24"}, "manifestNodes"),
        ({"session_policy": "{"}, "sessionPolicy"),
        ({"session_policy": "[]"}, "sessionPolicy"),
        ({"policy_arns": ",".join(["arn:aws:iam::aws:policy/x"] * 11)}, "policyArns"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(flags: dict[str, Raw], name: str) -> None:
    """The line names the one to change."""
    [problem] = problems(flags)

    assert problem.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({"base_arn": "arn:aws:iam::111122223333:role/../"}, "baseArn"),
        ({"base_arn": "arn:aws-moon:iam::111122223333:role/"}, "baseArn"),
        ({"assume_role_arn": "arn:aws:iam::111122223333:role/a//b"}, "assumeRoleArn"),
        ({"region": "eu-west-1a"}, "region"),
        ({"policy_arns": "arn:aws:iam::aws:policy/" + "x" * 129}, "policyArns"),
    ],
)
def test_what_aws_does_not_know_is_refused_as_it_is_read(flags: dict[str, Raw], name: str) -> None:
    """By the rule that the part goes by which has it in the end; there is no second one."""
    [problem] = problems(flags)

    assert problem.startswith(f"{name}: ")
    assert problem.count("accepted is ") == 1


def test_what_iam_takes_in_a_policys_arn_is_taken() -> None:
    """A path of 512 characters, slashes included, and a name of 128."""
    arn = f"arn:aws:iam::111122223333:policy/{'!' * 510}/{'x' * 128}"

    assert read({"policy_arns": arn}).sessions.policy_arns == (arn,)


def test_without_manifests_the_api_server_says_who_an_agent_is() -> None:
    """Whoever runs on a cluster need not name the authentication; what is named holds."""
    assert read().authentication is AuthenticationMode.LOOPBACK
    assert read({"manifests": ""}).authentication is AuthenticationMode.TOKEN_REVIEW
    assert (
        read({"manifests": "", "authentication": "loopback"}).authentication
        is AuthenticationMode.LOOPBACK
    )
