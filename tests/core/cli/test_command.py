"""The command line: what a newcomer sees, and what a mistake is answered with."""

import os
import subprocess
import sys

import pytest

from rolecall_cli.__main__ import COMMANDS, main
from rolecall_common.settings.declare import declared
from rolecall_common.version import VERSION
from rolecall_server.settings import Settings


def test_the_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, on stdout."""
    with pytest.raises(SystemExit) as end:
        main(["--version"])

    assert end.value.code == 0
    assert capsys.readouterr().out == f"rolecall {VERSION}\n"


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """And says where to begin."""
    with pytest.raises(SystemExit) as end:
        main(["--help"])

    out = capsys.readouterr().out
    assert end.value.code == 0
    assert all(name in out for name in COMMANDS)
    assert "rolecall demo" in out


def test_the_help_of_a_side_names_every_setting_by_flag_and_variable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One definition, every way to write it."""
    with pytest.raises(SystemExit):
        main(["server", "--help"])

    out = "".join(capsys.readouterr().out.split())  # Long lines are wrapped anywhere.
    for setting in declared(Settings):
        assert setting.flag in out
        assert f"[{setting.variable};" in out


@pytest.mark.parametrize(
    "words",
    [[], ["serve"]],
    ids=["nothing", "no-command"],
)
def test_what_is_not_understood_ends_with_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing runs on a guess."""
    with pytest.raises(SystemExit) as end:
        main(words)

    captured = capsys.readouterr()
    assert end.value.code == 2
    assert captured.out == ""
    assert "Traceback" not in captured.err


def test_settings_that_cannot_be_end_with_2_and_a_line_for_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command is named, and what contradicts itself stands beside what cannot be read."""
    code = main(["server", "--fips=maybe", "--tls-key", "k", "--session-duration", "16m"])

    lines = capsys.readouterr().err.splitlines()
    assert code == 2
    assert len(lines) == 3
    assert lines[0].startswith("rolecall server: tlsCertificate: it must be set")
    assert lines[1].startswith("rolecall server: fips: 'maybe' (from the command line)")
    assert lines[2].startswith("rolecall server: sessionDuration: '16m' (from the command line)")


def test_each_flag_that_there_is_not_is_a_line_beside_those_of_the_settings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever mends one need not find the next by trying; nothing is guessed from half a name."""
    strange = ["--sesion-duration", "1h", "--session=1h", "--unheard-of", "stray", "--fips=maybe"]
    code = main(["server", *strange, "--tls-key", "k", "--tls-certificate", "c", "more", "--\x1b"])

    assert code == 2
    line = "rolecall server: {} (from the command line): {}"
    assert capsys.readouterr().err.splitlines() == [
        line.format("--sesion-duration", "no such flag; did you mean --session-duration?"),
        line.format("--session", "no such flag; did you mean --session-tags?"),
        line.format("--unheard-of", "no such flag; `rolecall server --help` names all"),
        line.format("more", "no flag goes before it"),
        line.format(r"'--\x1b'", "no such flag; `rolecall server --help` names all"),
        line.format("fips: 'maybe'", "accepted is true or false"),
    ]


@pytest.mark.parametrize("side", ["agent", "warden", "demo"])
def test_a_strange_flag_is_told_by_the_command_that_was_meant(
    side: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not by the one above it, whose usage names none of the flags."""
    code = main([side, "--unheard-of"])

    assert code == 2
    assert capsys.readouterr().err.splitlines()[0] == (
        f"rolecall {side}: --unheard-of (from the command line): no such flag; "
        f"`rolecall {side} --help` names all"
    )


def test_a_flag_without_a_value_switches_on(capsys: pytest.CaptureFixture[str]) -> None:
    """`--fips` and `--fips=true` are the same: both contradict an endpoint of one's own."""
    tls = ["--tls-key", "k", "--tls-certificate", "c", "--manifests", "m"]
    code = main(["server", *tls, "--sts-endpoint", "https://sts.example", "--fips"])

    assert code == 2
    assert "stsEndpoint already says which endpoint" in capsys.readouterr().err


@pytest.mark.parametrize("side", ["server", "agent"])
def test_a_side_silences_grpcs_own_words_as_it_begins(side: str) -> None:
    """Before gRPC is imported, which is when it looks; and what only imports it changes nothing."""
    program = f"""
import os, sys

class Seen:
    def find_spec(self, name, path=None, target=None):
        if name == "grpc":
            print("seen:", os.environ.get("GRPC_VERBOSITY"))

sys.meta_path.insert(0, Seen())
import rolecall_cli.sides
print("imported:", os.environ.get("GRPC_VERBOSITY"))
from rolecall_cli.__main__ import main
main(["{side}", "--log-level", "odd"])
print("begun:", os.environ.get("GRPC_VERBOSITY"))
import grpc
"""
    environment = {key: text for key, text in os.environ.items() if key != "GRPC_VERBOSITY"}
    run = subprocess.run(  # noqa: S603 (this test's own program)
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
    )

    told = run.stdout.split("\n")[:-1]
    assert told[0] == "imported: None"
    assert sorted(told[1:]) == ["begun: NONE", "seen: NONE"]


def test_the_help_loads_no_event_loop_and_no_tls() -> None:
    """A person waits for it; they were most of the wait."""
    program = """
import contextlib, sys
from rolecall_cli.__main__ import main
with contextlib.suppress(SystemExit):
    main(["--help"])
print(*sorted(sys.modules), file=sys.stderr)
"""
    run = subprocess.run(  # noqa: S603 (this test's own program)
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    loaded = set(run.stderr.split())
    assert "usage: rolecall" in run.stdout
    assert "rolecall_cli.__main__" in loaded
    assert loaded & {"asyncio", "ssl", "yaml", "rolecall_common.settings"} == set()
