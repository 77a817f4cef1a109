"""How many Events one pod may have: a token bucket for each."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolecall_proto.values import PodUid

# What client-go's recorder lets through of each object: 25 at once, and one every five minutes.
BURST = 25
REFILL = timedelta(minutes=5)
# Whoever is forgotten begins anew; the budget of all bounds what that may cost.
_MOST_REMEMBERED = 4096


@dataclass(slots=True)
class _Share:
    tokens: float
    counted: datetime


class Shares:
    """The pods' shares, of those that had one last."""

    def __init__(self) -> None:
        self._shares: OrderedDict[PodUid, _Share] = OrderedDict()

    def take(self, uid: PodUid, now: datetime) -> bool:
        """Take one out of the pod's share; tell whether there was one left."""
        share = self._shares.setdefault(uid, _Share(BURST, now))
        self._shares.move_to_end(uid)
        if len(self._shares) > _MOST_REMEMBERED:
            self._shares.popitem(last=False)
        # A clock that was set back adds nothing, and takes nothing away.
        refilled = max(timedelta(), now - share.counted) / REFILL
        share.tokens, share.counted = min(BURST, share.tokens + refilled), now
        if share.tokens < 1:
            return False
        share.tokens -= 1
        return True
