"""Settings: one declaration, three places to write them, and every problem in one line."""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.common.settings.rig import problems, read, written
from rolecall_agent.settings import Settings as AgentSettings
from rolecall_common.settings.declare import SettingsError, declared
from rolecall_common.settings.loader import load_settings
from rolecall_common.settings.types import Raw
from rolecall_server.settings import Settings


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
