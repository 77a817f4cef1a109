"""Looks for bytes that break a rule of the metadata endpoint, led by the code that they reach."""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz import corpus
from fuzz.script import read, written

_ROOT = Path(__file__).parents[2]
_WORK = _ROOT / ".cache" / "fuzz"
_MOST_BYTES = 4096  # of a script: enough for any head, by its own means of repetition
_SLOWEST = 10  # seconds that one script may take


def main() -> int:
    arguments = _parse()
    if arguments.script is not None:
        return _play_once(arguments.script)
    _WORK.mkdir(parents=True, exist_ok=True)
    if arguments.keep:
        return _keep()
    return _search(arguments.seconds)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long to look (default: 60)")
    parser.add_argument("--keep", action="store_true", help="write what was found to the corpus")
    parser.add_argument("--script", metavar="LINE", help="play one script, as it was printed")
    parser.add_argument("--engine", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine is not None:
        sys.exit(_engine(arguments.engine))
    return arguments


def _play_once(line: str) -> int:
    from fuzz.loop import Loop  # noqa: PLC0415 - the engine must be first to import what it watches
    from fuzz.scene import play  # noqa: PLC0415

    play(read(line), Loop())
    sys.stdout.write("nothing is broken\n")
    return 0


def _search(seconds: int) -> int:
    """Search from the corpus on; return 0 where nothing was broken."""
    with _seeds() as seeds:
        found = _WORK / "found"
        found.mkdir(exist_ok=True)
        status = _run_engine(str(found), seeds, f"-max_total_time={seconds}")
    for crash in sorted(_WORK.glob("broken-*")):
        line = shlex.quote(written(crash.read_bytes()))
        sys.stdout.write(f"broken; to play it again: scripts/fuzz --script {line}\n")
        crash.rename(crash.with_name(f"seen-{crash.name}"))
    return status


def _keep() -> int:
    """Write the fewest scripts that reach what all together reach."""
    with _seeds() as seeds, tempfile.TemporaryDirectory() as fewest:
        status = _run_engine("-merge=1", "-use_counters=0", fewest, seeds, str(_WORK / "found"))
        if status == 0:
            kept = corpus.keep(file.read_bytes() for file in Path(fewest).iterdir())
            sys.stdout.write(f"{kept} scripts are in {corpus.FOUND}\n")
    return status


def _seeds() -> tempfile.TemporaryDirectory[str]:
    """Make a folder with a file for each script of the corpus, as the engine wants them."""
    folder = tempfile.TemporaryDirectory(prefix="rolecall-fuzz-")
    files = [file for file in (corpus.WRITTEN, corpus.FOUND) if file.exists()]
    for number, script in enumerate(each for file in files for each in corpus.scripts(file)):
        (Path(folder.name) / str(number)).write_bytes(script)
    return folder


def _run_engine(*arguments: str) -> int:
    """Run libFuzzer in a process of its own, which ends when it is done."""
    words = [
        f"-artifact_prefix={_WORK}/broken-",
        f"-dict={Path(__file__).parent / 'endpoint.dict'}",
        f"-max_len={_MOST_BYTES}",
        f"-timeout={_SLOWEST}",
        "-print_final_stats=1",
        *arguments,
    ]
    command = [sys.executable, "-m", "fuzz", "--engine", *words]
    return subprocess.run(command, check=False, env=dict(os.environ)).returncode  # noqa: S603


def _engine(arguments: list[str]) -> int:
    try:
        import atheris  # noqa: PLC0415 - it has wheels for Linux alone
    except ImportError:
        sys.stderr.write("error: no atheris here: scripts/fuzz installs it, on Linux\n")
        return 2
    with atheris.instrument_imports(include=["rolecall_agent", "rolecall_proto"]):
        from fuzz.scene import play  # noqa: PLC0415
    from fuzz.loop import Loop  # noqa: PLC0415

    loop = Loop()

    def once(script: bytes) -> None:
        play(script, loop)

    # To merge, the engine starts itself anew, by a shell and its first word.
    atheris.Setup([f"{shlex.quote(sys.executable)} -m fuzz --engine", *arguments], once)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
