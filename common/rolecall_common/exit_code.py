"""What a command's end means. Apart from everything else, so that `--help` loads no event loop."""

import enum


class Exit(enum.IntEnum):
    """What a command's end means to whoever started it."""

    OK = 0
    FAILED = 1  # A bug, or a run that did not come to its end.
    USAGE = 2  # What it was told cannot be used; each reason is one line on stderr.
    MEMORY = 3  # Most of the memory that it may have is used: another one is to take its place.
    INTERRUPTED = 130  # The shell's custom for Ctrl-C.
