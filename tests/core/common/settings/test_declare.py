"""Settings: one declaration, three places to write them, and every problem in one line."""

from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_agent.settings import Settings as AgentSettings
from rolecall_common.settings.declare import SettingsError, declared
from rolecall_common.settings.durations import duration_text
from rolecall_common.settings.loader import load_settings
from rolecall_common.settings.types import Raw
from rolecall_server.settings import Settings
from rolecall_server.settings.listening import AuthorityKind

REQUIRED: dict[str, Raw] = {"manifests": "pods", "tls_certificate": "tls.crt", "tls_key": "tls.key"}


def read(
    flags: Mapping[str, Raw] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    return load_settings(Settings, {**REQUIRED, **(flags or {})}, environ or {}, file)


def problems(
    flags: Mapping[str, Raw] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(flags, environ, file)
    return [str(problem) for problem in caught.value.problems]


def written(folder: Path, text: str) -> Path:
    file = folder / "settings.yaml"
    file.write_text(text)
    return file


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(tmp_path: Path) -> None:
    """The nearer to whoever starts the process, the stronger."""
    file = written(tmp_path, "sessionDuration: 2h\nreportedEarly: 2m\nregion: eu-west-1\n")
    environ = {"ROLECALL_SESSION_DURATION": "3h", "ROLECALL_REPORTED_EARLY": "3m"}

    settings = read({"session_duration": "4h"}, environ, file)

    assert settings.sessions.session_duration == timedelta(hours=4)
    assert settings.sessions.reported_early == timedelta(minutes=3)
    assert settings.aws.region == "eu-west-1"
    assert settings.aws.sts_burst == 300


def test_all_problems_are_named_at_once_with_value_origin_and_what_is_accepted() -> None:
    """Nobody starts a process five times to find five mistakes."""
    found = problems(
        {"session_duration": "900", "imdsv2": "maybe"},
        {"ROLECALL_FIPS": "perhaps", "ROLECALL_STS_BURST": "-1"},
    )

    typed, such = "(from the command line)", "90s, 15m or 1h30m"
    assert found == [
        "fips: 'perhaps' (from ROLECALL_FIPS): accepted is true or false",
        "stsBurst: '-1' (from ROLECALL_STS_BURST): accepted is a whole number from 1 to 100000",
        f"sessionDuration: '900' {typed}: accepted is a duration from 15m to 12h, such as {such}",
        f"imdsv2: 'maybe' {typed}: accepted is optional or required",
    ]


def test_what_has_no_default_must_be_set() -> None:
    """An agent without servers, authorities or a token cannot do anything."""
    with pytest.raises(SettingsError) as caught:
        load_settings(AgentSettings, {}, {}, None)

    assert [problem.name for problem in caught.value.problems] == ["servers", "caFile", "tokenFile"]


@pytest.mark.parametrize("field", ["servers", "listen"])
def test_an_agent_without_anyone_to_ask_or_to_answer_does_not_start(field: str) -> None:
    """An empty list is written down, and still says nothing."""
    flags: dict[str, Raw] = {"servers": "s:1", "ca_file": "ca", "token_file": "token", field: ","}
    with pytest.raises(SettingsError) as caught:
        load_settings(AgentSettings, flags, {}, None)

    assert [str(problem).partition("; ")[0] for problem in caught.value.problems] == [
        f"{field}: ',' (from the command line): it is empty"
    ]


def test_an_agent_that_holds_longer_than_sdks_wait_says_so() -> None:
    """It works, and somebody should know."""
    flags = {
        "servers": "s:1",
        "ca_file": "ca",
        "token_file": "token",
        "metadata_service": "",
    }

    for hold, cautions in (("950ms", 0), ("951ms", 1)):
        settings = load_settings(AgentSettings, {**flags, "hold": hold}, {}, None)
        assert len(list(settings.cautions())) == cautions


@pytest.mark.parametrize(
    ("listen", "service", "offered", "cautions"),
    [
        ("169.254.170.2:8181", "169.254.169.254:80", 2, 0),
        ("169.254.170.2:8181", "", 0, 0),
        ("169.254.169.254:80", "169.254.169.254:80", 0, 1),
        ("[::1]:80,[fd00:ec2::254]:80", "[fd00:ec2::254]:80", 0, 1),
    ],
)
def test_a_endpoint_in_the_place_of_the_metadata_service_does_not_ask_itself(
    listen: str, service: str, offered: int, cautions: int
) -> None:
    """It passes nothing on, and says so."""
    flags = {
        "servers": "s:1",
        "ca_file": "ca",
        "token_file": "token",
        "listen": listen,
        "metadata_service": service,
        "metadata_items": "meta-data/placement/region,meta-data/instance-id",
    }
    settings = load_settings(AgentSettings, flags, {}, None)

    assert len(settings.endpoint.offered) == offered
    assert len(list(settings.cautions())) == cautions


def test_an_unknown_name_is_a_problem_with_a_hint(tmp_path: Path) -> None:
    """A setting that is misspelt would otherwise be one that is silently not set."""
    file = written(tmp_path, "sesionDuration: 2h\n")

    [variable, name] = problems({}, {"ROLECALL_BASEARN": "x"}, file)

    assert variable.endswith("no such setting; did you mean ROLECALL_BASE_ARN?")
    assert name.endswith("no such setting; did you mean sessionDuration?")


@pytest.mark.parametrize(
    "variable",
    [
        "ROLECALL_SERVER_SERVICE_HOST",
        "ROLECALL_SERVER_SERVICE_PORT",
        "ROLECALL_SERVER_SERVICE_PORT_GRPC",
        "ROLECALL_SERVER_PORT",
        "ROLECALL_SERVER_PORT_8443_TCP",
        "ROLECALL_SERVER_PORT_8443_TCP_ADDR",
        "ROLECALL_PORT",
        "ROLECALL_SERVICE_HOST",
    ],
)
def test_what_kubernetes_injects_for_our_own_services_is_no_setting(variable: str) -> None:
    """A Service called `rolecall-server` must not keep the pods beside it from starting."""
    assert read({}, {variable: "tcp://10.0.0.1:8443"}).aws.region is None


def test_no_setting_has_a_name_that_kubernetes_may_inject() -> None:
    """Else a Service of the right name would set it."""
    from rolecall_common.settings.declare import SERVICE_LINK  # noqa: PLC0415 - its only use here

    both = [*declared(Settings), *declared(AgentSettings)]

    assert [each.variable for each in both if SERVICE_LINK.fullmatch(each.variable)] == []


def test_no_name_is_declared_twice() -> None:
    """Groups share one line of flags."""
    for kind in (Settings, AgentSettings):
        names = [each.name for each in declared(kind)]
        assert len(set(names)) == len(names)


def test_the_file_is_read_as_text(tmp_path: Path) -> None:
    """YAML's own ideas of off, of octal numbers and of times do not get in the way."""
    file = written(
        tmp_path,
        "namespacePolicy: off\n"
        "allowedAccounts: [012345678901, 111122223333]\n"
        "fips: yes\n"
        "manifestNodes: {node-a: [10.0.0.0/24, fd00::/64], node-b: 10.0.1.0/24}\n",
    )

    settings = read({}, {}, file)

    assert settings.rules.namespace_policy == "off"
    assert settings.rules.allowed_accounts == ("012345678901", "111122223333")
    assert settings.aws.fips
    assert settings.sources.manifest_nodes == (
        ("node-a", ip_network("10.0.0.0/24")),
        ("node-a", ip_network("fd00::/64")),
        ("node-b", ip_network("10.0.1.0/24")),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- a\n- b\n", "a mapping of settings is wanted"),
        ("just text", "a mapping of settings is wanted"),
        ("region: [eu-west-1\n", "it is not YAML: line 2"),
        ("region: eu-west-1\nfips: no\nregion: eu-west-2\n", "line 3: 'region' is set twice"),
        ("? [a, b]\n: c\n", "line 1: a name is wanted here"),
        ("\0", "it is not YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_problem(tmp_path: Path, text: str, reason: str) -> None:
    """It names the file, and the line where there is one."""
    [problem] = problems({}, {}, written(tmp_path, text))

    assert problem.startswith(f"the settings file: {tmp_path}")
    assert reason in problem


def test_a_file_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    """The reason is the system's."""
    [problem] = problems({}, {}, tmp_path / "absent.yaml")

    assert problem.endswith("No such file or directory")


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    """A file of comments is a fine place to start from."""
    assert read({}, {}, written(tmp_path, "# nothing yet\n")) == read()


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
        ({"authority": "token-review"}, "authority"),
        ({"listen": "localhost:8443"}, "listen"),
        ({"manifests": "", "authority": "loopback", "listen": "0.0.0.0:8443"}, "listen"),
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
    """Whoever runs on a cluster need not name the authority; what is named holds."""
    assert read().authority is AuthorityKind.LOOPBACK
    assert read({"manifests": ""}).authority is AuthorityKind.TOKEN_REVIEW
    assert read({"manifests": "", "authority": "loopback"}).authority is AuthorityKind.LOOPBACK


def test_every_default_is_itself_accepted() -> None:
    """What help and documents show can be typed."""
    given_one = [
        each for each in (*declared(Settings), *declared(AgentSettings)) if not each.required
    ]

    assert [one.type.read(one.default_text) for one in given_one] == [
        one.default for one in given_one
    ]


RAW: st.SearchStrategy[Raw] = st.recursive(
    st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_whatever_is_written_is_a_value_or_a_problem(data: st.DataObject) -> None:
    """No text, list or mapping makes a type raise anything but ValueError."""
    setting = data.draw(st.sampled_from(declared(Settings) + declared(AgentSettings)))
    raw = data.draw(RAW)
    try:
        setting.type.read(raw)
    except ValueError:
        pass
    else:
        assert isinstance(raw, str | list | dict)


@given(st.text(max_size=400))
def test_a_message_is_one_short_line_whatever_the_value(text: str) -> None:
    """A hostile value neither forges a line nor fills a screen."""
    try:
        read({"region": text})
    except SettingsError as error:
        for problem in error.problems:
            assert str(problem).isprintable()
            assert len(str(problem)) < 500
