"""What was typed cannot be used: the error, and how it is told."""

import sys


class UsageError(Exception):
    """What was typed cannot be used; one line for each problem."""


def complain(command: str, error: UsageError) -> None:
    """Say on stderr what is wrong, a line for each problem."""
    for line in str(error).splitlines():
        sys.stderr.write(f"rolecall {command}: {line}\n")
