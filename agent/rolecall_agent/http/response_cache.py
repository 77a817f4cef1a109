"""Answers of this second: who asks again with the same bytes gets the same answer, unparsed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from rolecall_agent.http.counters import Tally
from rolecall_agent.metadata.routes import Route
from rolecall_common.secret import NotPickled

MOST_REMEMBERED = 1024  # answers; some 1.5 MB at the most, and a node's pods ask for far fewer


@dataclass(slots=True)
class Remembered(NotPickled):
    """One answer, and what it was an answer to.

    All that lies between a head and its answer depends on the head, the peer, the cache's
    generation and the time. The first two are the key it is found by, the third is compared, and
    *until* is where the fourth begins to matter.
    """

    head: bytes = field(repr=False)
    answer: bytes = field(repr=False)
    close: bool
    until: float  # On the loop's clock: the end of this second, of the token, of the credentials.
    generation: int
    route: Route
    left: timedelta
    served: int = 0


class Memory:
    """Remembers answers for no longer than a second and a generation of the cache."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._answers: dict[tuple[str, bytes], Remembered] = {}
        # By the peer's address, as the kernel writes it, and the head. A bound method of the
        # dictionary: this is the one look-up on the path of every warm answer.
        self.recall: Callable[[tuple[str, bytes]], Remembered | None] = self._answers.get

    def add(self, peer: str, remembered: Remembered) -> None:
        """Keep *remembered*, unless the memory is full."""
        if len(self._answers) < MOST_REMEMBERED:
            self._answers[peer, remembered.head] = remembered

    def settle(self) -> None:
        """Count what was answered from here since the last time."""
        for each in self._answers.values():
            if each.served:
                self._tally.repeated(each.route, each.left, each.served)
                each.served = 0

    def forget(self) -> None:
        """Count, and forget everything: the second or the generation is over."""
        self.settle()
        for each in self._answers.values():
            each.until = 0.0  # A connection may still have it at hand, where nobody would count.
        self._answers.clear()
