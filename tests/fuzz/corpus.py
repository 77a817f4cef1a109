"""Scripts that are kept: a file with a line for each, so that they can be read and reviewed."""

from collections.abc import Iterable
from pathlib import Path

from fuzz.script import read, written

FOLDER = Path(__file__).parent / "corpus"
# Written by hand, each with a line above it that says what it is.
WRITTEN = FOLDER / "written.txt"
# What `scripts/fuzz --keep` has kept: the fewest scripts that reach all that was reached.
FOUND = FOLDER / "found.txt"


def scripts(file: Path) -> list[bytes]:
    """Return the scripts in *file*."""
    lines = file.read_text(encoding="ascii").splitlines()
    return [read(line) for line in lines if line and not line.startswith("#")]


def keep(found: Iterable[bytes]) -> int:
    """Write *found* to FOUND, the shortest first; return how many they are."""
    lines = [written(script) for script in sorted(set(found), key=lambda each: (len(each), each))]
    # A line that begins like a comment would be one.
    lines = [line.replace("#", "\\x23", 1) if line.startswith("#") else line for line in lines]
    text = "# Written by `scripts/fuzz --keep`; see corpus.py.\n" + "".join(
        f"{line}\n" for line in lines if line
    )
    FOUND.write_text(text, encoding="ascii")
    return len(lines)
