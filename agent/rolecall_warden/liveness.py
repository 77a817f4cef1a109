"""How the wardens of one node see whether the one whose rules are there still lives.

Each holds a socket's name for which there is no file, and its table says that name. However its
process ends, the name is free again. Whoever is on the node's network sees it, from any container
and as any user; no pod does that has a network of its own.
"""

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta

log = logging.getLogger(__name__)


@contextlib.contextmanager
def held_name() -> Iterator[str]:
    """Hold a name while the block runs; "" where that is not allowed, and nothing can be seen."""
    name = os.urandom(8).hex()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as held:
        try:
            held.bind(_address(name))
        except OSError as error:
            log.warning("no other warden will see that this one ends: %s", error.strerror)
            name = ""
        yield name


def is_held(name: str) -> bool:
    """Return whether whoever took *name* still lives, without taking it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(_address(name))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True  # Somebody is there to whom we may not speak.
    return True


class AbsenceTimer:
    """Whether the holder of the rules has been away for so long that it will not come back."""

    def __init__(
        self,
        patience: timedelta,
        monotonic: Callable[[], float],
        is_held: Callable[[str], bool] = is_held,
    ) -> None:
        self._patience = patience.total_seconds()
        self._monotonic = monotonic
        self._is_held = is_held
        self._missed = ""
        self._since = 0.0

    def is_gone(self, name: str) -> bool:
        """Return whether the holder is gone that the rules name; of "" that is never known."""
        if not name or self._is_held(name):
            self._missed = ""
            return False
        now = self._monotonic()
        if name != self._missed:
            self._missed, self._since = name, now
        return now - self._since >= self._patience


def _address(name: str) -> str:
    return f"\0rolecall-warden-{name}"
