"""Lines for whoever waits."""

import sys
from typing import TextIO


def say(line: str, stream: TextIO | None = None) -> None:
    """Print a *line* at once, also where the output is a file or a pipe."""
    stream = stream or sys.stdout
    stream.write(f"{line}\n")
    stream.flush()
