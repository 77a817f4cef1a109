"""How many Events one pod may have: a token bucket for each."""

from collections import OrderedDict
from datetime import datetime, timedelta

from rolecall_common.token_bucket import TokenBucket
from rolecall_proto.values import PodUid

# What client-go's recorder lets through of each object: 25 at once, and one every five minutes.
BURST = 25
REFILL = timedelta(minutes=5)
# Whoever is forgotten begins anew; the budget of all bounds what that may cost.
_MOST_REMEMBERED = 4096


class Shares:
    """The pods' shares, of those that had one last."""

    def __init__(self) -> None:
        self._shares: OrderedDict[PodUid, TokenBucket] = OrderedDict()

    def take(self, uid: PodUid, now: datetime) -> bool:
        """Take one out of the pod's share; tell whether there was one left."""
        share = self._shares.setdefault(uid, TokenBucket(BURST, 1 / REFILL.total_seconds()))
        self._shares.move_to_end(uid)
        if len(self._shares) > _MOST_REMEMBERED:
            self._shares.popitem(last=False)
        return share.take(1, now)
