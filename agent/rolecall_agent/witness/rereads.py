"""What has to be read anew, and when: at once where that is seldom, else after a pause.

To read everything anew can take a tenth of a second where there are many routes. Whoever can have
news be lost could otherwise have the agent do nothing else.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from rolecall_agent.witness.extent import Extent

log = logging.getLogger(__name__)

# Seconds from the start of one to the start of the next, of which a tenth is spent at most.
PAUSES: Mapping[Extent, float] = MappingProxyType({Extent.BRIDGES: 0.1, Extent.EVERYTHING: 1.0})

_SILENCE = 10.0  # Seconds between two lines of the log.


class Rereads:
    """Told of each loss, each attempt and each success, and the time. No I/O, no clock."""

    def __init__(self) -> None:
        self.owed = Extent.EVERYTHING  # Nothing is known yet.
        self.losses: Counter[Extent] = Counter()  # How often news were lost.
        self.attempts: Counter[Extent] = Counter()
        self._silent_until = 0.0
        self._free_at = dict.fromkeys(PAUSES, 0.0)

    def owe(self, extent: Extent) -> None:
        """Note that *extent* has to be read anew."""
        self.owed = max(self.owed, extent)

    def lose(self, extent: Extent, reason: str, now: float) -> None:
        """Do the same, since news of *extent* were lost. The log says it, but not too often."""
        self.owe(extent)
        self.losses[extent] += 1
        if now < self._silent_until:
            return
        self._silent_until = now + _SILENCE
        fields = {"reason": reason, "about": extent.name.lower()}
        log.warning("changes in the kernel were lost: what is there now is read anew", extra=fields)

    def moment(self) -> float | None:
        """Return from when on what is owed may be read; None where nothing is."""
        return None if self.owed is Extent.NOTHING else self._free_at[self.owed]

    def begin(self, now: float) -> None:
        """Note that it is read now. Until `succeed` it is owed still."""
        self.attempts[self.owed] += 1
        for each, pause in PAUSES.items():
            if each <= self.owed:
                self._free_at[each] = now + pause

    def succeed(self) -> None:
        self.owed = Extent.NOTHING
