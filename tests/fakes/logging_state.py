"""The log as pytest has set it up, after whatever a test has done to it."""

import contextlib
import logging
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def restored_logging() -> Iterator[None]:
    """Leave loggers and the last words as they were."""
    root = logging.getLogger()
    ours = [logging.getLogger(name) for name in _names()]
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    levels = [each.level for each in ours]
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for each, before in zip(ours, levels, strict=True):
        each.setLevel(before)
    sys.excepthook = hook


def _names() -> list[str]:
    return [f"rolecall_{part}" for part in ("agent", "cli", "common", "proto", "server", "warden")]
