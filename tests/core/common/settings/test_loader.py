"""Reading settings: which place wins, what a file may hold, and what becomes of nonsense."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rolecall_agent.settings import Settings as AgentSettings
from rolecall_common.settings import types
from rolecall_common.settings.declare import SettingsError, declared, setting
from rolecall_common.settings.loader import load_settings
from rolecall_common.settings.types import Raw
from rolecall_server.settings import Settings as ServerSettings

_WORD = types.matching(r"[a-z0-9=]{1,20}", "a word", "WORD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """One setting of each type."""

    name: str | None = setting(types.optional(_WORD), "A name.", default=None)
    names: tuple[str, ...] = setting(types.several(_WORD), "Names.", default=())
    tags: tuple[tuple[str, str], ...] = setting(types.pairs(_WORD, _WORD), "Tags.", default=())
    wait_time: timedelta = setting(
        types.duration(timedelta(0), timedelta(hours=1)), "A wait.", default=timedelta(minutes=1)
    )
    on: bool = setting(types.SWITCH, "A switch.", default=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


def read(
    file: Path | None = None,
    text: str = "",
    *,
    flags: Mapping[str, Raw] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Small:
    """Read the settings, where *file* holds *text*."""
    if file is not None:
        file.write_text(text)
    return load_settings(Small, flags or {}, environ or {}, file)


def problems(
    file: Path | None = None, text: str = "", *, environ: Mapping[str, str] | None = None
) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(file, text, environ=environ)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("flags", "environ", "text", "wait"),
    [
        ({"wait_time": "4s"}, {"ROLECALL_WAIT_TIME": "3s"}, "waitTime: 2s", 4),
        ({}, {"ROLECALL_WAIT_TIME": "3s"}, "waitTime: 2s", 3),
        ({}, {}, "waitTime: 2s", 2),
        ({}, {}, "", 60),
    ],
    ids=["flag", "variable", "file", "default"],
)
def test_the_nearest_place_wins(
    file: Path, flags: dict[str, Raw], environ: dict[str, str], text: str, wait: int
) -> None:
    """A flag over a variable, a variable over the file, the file over the default."""
    assert read(file, text, flags=flags, environ=environ).wait_time == timedelta(seconds=wait)


def test_a_place_that_is_overruled_is_not_read(file: Path) -> None:
    """Whoever overrules a mistake on the command line has mended it."""
    assert read(file, "waitTime: soon", flags={"wait_time": "4s"}).wait_time.seconds == 4


@pytest.mark.parametrize("nothing", ["", "~", "null", "Null", "NULL", '""', "''"])
def test_nothing_in_the_file_is_nothing(file: Path, nothing: str) -> None:
    """A template that leaves a value out does not name a role `null`."""
    assert read(file, f"name: {nothing}\nnames: {nothing}\n") == Small()


@pytest.mark.parametrize("text", ['"null"', "'null'", '"~"', "!!str 5", "'off'"])
def test_what_is_quoted_is_meant_as_it_is_written(file: Path, text: str) -> None:
    """Somebody may have a name that YAML has a use for."""
    name = text.rsplit(maxsplit=1)[-1].strip("\"'")

    if name == "~":
        assert len(problems(file, f"name: {text}\n")) == 1  # It is no word, and it was looked at.
    else:
        assert read(file, f"name: {text}\n").name == name


@pytest.mark.parametrize("text", ["off", "no", "yes", "0123", "0o17", "1e3", "012345678901", "on"])
def test_a_scalar_is_the_text_that_was_written(file: Path, text: str) -> None:
    """YAML's own ideas of truth and of octal numbers do not get in the way."""
    if text == "0o17":
        assert read(file, f"name: {text}\nnames: [{text}]\n").names == ("0o17",)
    assert read(file, f"name: {text}\n").name == text


def test_times_and_dates_are_not_guessed(file: Path) -> None:
    """`1:30` is no number of base sixty, and a wait without a unit is no wait."""
    [problem] = problems(file, "waitTime: 1:30\n")

    assert problem.startswith(f"waitTime: '1:30' (from {file}): accepted is a duration from 0s")


@pytest.mark.parametrize(
    "text",
    [
        "names: [a, b]\n",
        "names: a, b\n",
        "names: a,,b,\n",
        "names:\n- a\n- b\n",
        '{"names": ["a", "b"]}',
        "\ufeffnames: [a, b]\n",
        "---\nnames: [a, b]\n...\n",
    ],
)
def test_a_list_may_be_written_as_it_is_convenient(file: Path, text: str) -> None:
    """As YAML's list, as JSON's, or with commas as a variable would have it."""
    assert read(file, text).names == ("a", "b")


@pytest.mark.parametrize(
    "text",
    ["tags: {a: x, b: y}", "tags: [a=x, b=y]", "tags: a=x, b=y", "tags: {a: [x], b: y}"],
)
def test_pairs_may_be_written_as_it_is_convenient(file: Path, text: str) -> None:
    """As a mapping, as a list, or with commas."""
    assert read(file, text).tags == (("a", "x"), ("b", "y"))


def test_a_mapping_keeps_an_equals_sign_in_its_key(file: Path) -> None:
    """Only `key=value` has to be parted at the first one."""
    assert read(file, "tags: {a=b: c}").tags == (("a=b", "c"),)
    assert read(file, "tags: [a=b=c]").tags == (("a", "b=c"),)


@pytest.mark.parametrize(
    "text",
    [
        "name: [a]",
        "name: {a: b}",
        "names: {a: b}",
        "names: [[a]]",
        "names: [{a: b}]",
        "names: [a, ~]",
        "tags: {a: {b: c}}",
        "tags: {a: [[b]]}",
        "tags: [{a: b}]",
        "tags: [a]",
        "tags: a",
        "tags: {a: ~}",
        "on: [true]",
        "on: ~",
        "waitTime: {hours: 1}",
    ],
)
def test_a_value_of_another_shape_is_a_problem(file: Path, text: str) -> None:
    """Nothing is left out in silence because it was nested where it should not be."""
    [problem] = problems(file, text)

    assert problem.startswith(f"{text.partition(':')[0]}: ")
    assert f"(from {file})" in problem
    assert "accepted is " in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\non: yes\nname: b\n", "line 3: 'name' is set twice"),
        ("tags:\n  a: x\n  a: y\n", "line 3: 'a' is set twice"),
        ("name: a\n'name': a\n", "line 2: 'name' is set twice"),
    ],
)
def test_what_is_set_twice_is_a_problem_with_its_line(file: Path, text: str, said: str) -> None:
    """YAML lets the last one win; whoever wrote the first one should know."""
    assert problems(file, text) == [f"the settings file: {file}: {said}"]


def test_a_bomb_of_aliases_is_refused_before_it_grows(file: Path) -> None:
    """Some lines of YAML stand for gigabytes, and a message would have to repeat them."""
    levels = [f"n{n}: &n{n} [{', '.join([f'*n{n - 1}'] * 9)}]" for n in range(1, 12)]

    [problem] = problems(file, "\n".join(["n0: &n0 [x]", *levels, "name: *n11"]))
    assert problem == f"the settings file: {file}: line 1: aliases are not accepted here"


@pytest.mark.parametrize("text", ["names: &a [*a]", "&a names: *a", "base: &b x\nname: *b"])
def test_no_alias_is_accepted(file: Path, text: str) -> None:
    """A settings file is short enough to be written out."""
    [problem] = problems(file, text)

    assert problem.startswith(f"the settings file: {file}: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 1000, "it is not YAML"),
        ("name: a\n---\nname: b\n", "it is not YAML: line 2"),
        ("name: 'a\n", "it is not YAML: line 2"),
        ("name:\ta: b\n", "it is not YAML: line 1"),
        ("? {a: b}\n: c\n", "line 1: a name is wanted here"),
        ("5", "a mapping of settings is wanted"),
        ("# " + "x" * 1024 * 1024, "it is larger than a settings file can be"),
    ],
    ids=["deep", "two documents", "open quote", "tab", "odd key", "number", "huge"],
)
def test_a_file_that_is_something_else_is_one_problem(file: Path, text: str, said: str) -> None:
    """Whatever it is, it is named in one line."""
    [problem] = problems(file, text)

    assert problem.startswith(f"the settings file: {file}: ")
    assert said in problem


def test_a_file_that_is_no_text_is_one_problem(file: Path) -> None:
    """A certificate in DER, say, that was taken for the settings."""
    file.write_bytes(b"\x30\x82\xff\xfe")
    with pytest.raises(SettingsError, match="it is not YAML: UnicodeDecodeError"):
        load_settings(Small, {}, {}, file)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    """The reason is the system's."""
    with pytest.raises(SettingsError, match="Is a directory"):
        load_settings(Small, {}, {}, tmp_path)


def test_a_merge_key_is_an_unknown_name(file: Path) -> None:
    """`<<` is not understood, and so it is not silently ignored."""
    assert problems(file, "<<: {name: a}\n") == [f"'<<' (from {file}): no such setting"]


def test_problems_of_every_place_are_told_together(file: Path) -> None:
    """Nobody starts a process five times to find five mistakes."""
    found = problems(
        file,
        "name: A B\nnam: a\nname: c\n",
        environ={"ROLECALL_ON": "perhaps", "ROLECALL_NAMS": "x", "ROLECALL_TAGS": "a"},
    )

    pairs = "any number of WORD=WORD, where WORD is a word"
    assert found == [
        "ROLECALL_NAMS (from the environment): no such setting; did you mean ROLECALL_NAMES?",
        f"the settings file: {file}: line 3: 'name' is set twice",
        f"'nam' (from {file}): no such setting; did you mean name?",
        f"tags: 'a' (from ROLECALL_TAGS): 'a' is not key=value; accepted is {pairs}",
        "on: 'perhaps' (from ROLECALL_ON): accepted is true or false",
    ]


def test_a_broken_file_does_not_hide_the_environment(file: Path) -> None:
    """And what the file would have set is not missed in a line each."""
    found = problems(file, "- a", environ={"ROLECALL_NAMS": "x"})

    assert [problem.partition(" ")[0] for problem in found] == ["ROLECALL_NAMS", "the"]


def test_other_peoples_variables_are_not_looked_at() -> None:
    """Only those that begin as ours do."""
    assert read(environ={"PATH": "x", "ROLECALLNAME": "x", "rolecall_name": "x"}) == Small()


@pytest.mark.parametrize(
    "variable", ["ROLECALL_CONFIG", "ROLECALL_NOTHING_LEFT_OUT", "ROLECALL_X_SERVICE_HOST"]
)
def test_some_of_our_names_are_no_settings(variable: str) -> None:
    """The file's place, a switch of the tests, and what Kubernetes injects for Services."""
    assert read(environ={variable: "x"}) == Small()


@pytest.mark.parametrize("variable", ["ROLECALL_PORTAL", "ROLECALL_SERVICE", "ROLECALL_X_HOST"])
def test_a_name_that_kubernetes_does_not_inject_is_a_problem(variable: str) -> None:
    """The exception for Services is as narrow as it can be."""
    assert problems(environ={variable: "x"}) == [
        f"{variable} (from the environment): no such setting"
    ]


def test_a_variables_name_does_not_forge_a_line() -> None:
    """Nearly anything can be the name of one."""
    [problem] = problems(environ={"ROLECALL_X\nname: fine\x1b[2J": "x"})

    assert problem.isprintable()


def test_a_files_name_does_not_forge_a_line(tmp_path: Path) -> None:
    """Nor can the path of the file."""
    [problem] = problems(tmp_path / "a\nb.yaml", "nam: a")

    assert problem.isprintable()


KINDS = st.sampled_from([ServerSettings, AgentSettings, Small])
HOSTILE = st.text(max_size=60) | st.sampled_from(
    [
        "999999999d" * 3,
        "9" * 400,
        "[fe80::1%a\nb]:80",
        "{" * 300,
        '{"a":' * 100 + "1" + "}" * 100,
        "{x",
        "\0",
        "\ud800",
        "a=" * 50,
        "1.1.1.1/99",
        "::/0",
        "\u0661s",
    ]
)


@given(data=st.data())
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_makes_reading_raise_anything_but_settings_error(
    data: st.DataObject, file: Path
) -> None:
    """By variable, by flag or by file; and each problem stays one short line."""
    kind = data.draw(KINDS)
    each = data.draw(st.sampled_from(declared(kind)))
    text = data.draw(HOSTILE)
    place = data.draw(st.sampled_from(["flag", "variable", "file", "whole file"]))
    written = text if place == "whole file" else f"{each.name}: {text}\n"
    file.write_text(written, errors="replace")
    given_file = file if "file" in place else None
    flags: dict[str, Raw] = {each.field: text} if place == "flag" else {}
    environ = {each.variable: text} if place == "variable" else {}

    try:
        load_settings(kind, flags, environ, given_file)
    except SettingsError as error:
        for problem in error.problems:
            assert str(problem).isprintable()
            assert len(str(problem)) < 700
