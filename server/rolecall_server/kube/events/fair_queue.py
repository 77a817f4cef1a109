"""What waits to be written, and what of it: no pod and no namespace crowds out the others.

Each pod has a rate of its own. What it lets through waits in the queue of its namespace, and the
namespaces take turns.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from rolecall_common.token_bucket import TokenBucket
from rolecall_proto.values import PodUid
from rolecall_server.kube.events.event_object import Series
from rolecall_server.telemetry.event_reasons import Dropped, EventReason

# What client-go's recorder lets through of each object: 25 at once, and one every five minutes.
BURST = 25
REFILL = timedelta(minutes=5)
# Whoever is forgotten begins anew; the rate limit of all bounds what that may cost.
_MOST_REMEMBERED = 4096
# The whole is seven minutes' worth of writing. One namespace has no more than its part, so that
# whoever has 10,000 pods denied at once does not take the Event away from whoever has one.
MOST = 4000
MOST_PER_NAMESPACE = 1000
# How long a namespace is left alone in which nothing may be written.
HOLD = timedelta(minutes=5)

# Of each pod and reason the newest cause counts: it says how things are.
_NamespaceQueue = dict[tuple[PodUid, EventReason], Series]


class PodRateLimiter:
    """How many Events one pod may have: a token bucket for each of those that had one last."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[PodUid, TokenBucket] = OrderedDict()

    def take(self, uid: PodUid, now: datetime) -> bool:
        """Take one of the pod's Events; tell whether there was one left."""
        bucket = self._buckets.setdefault(uid, TokenBucket(BURST, 1 / REFILL.total_seconds()))
        self._buckets.move_to_end(uid)
        if len(self._buckets) > _MOST_REMEMBERED:
            self._buckets.popitem(last=False)
        return bucket.take(1, now)


class FairQueue:
    """A bounded queue in which namespaces take turns."""

    def __init__(self, drop: Callable[[Dropped], None]) -> None:
        self._drop = drop
        self._namespaces: dict[str, _NamespaceQueue] = {}  # None is empty; the first one is next.
        self._held: dict[str, datetime] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, series: Series) -> None:
        """Let *series* wait, in the place of an older cause of its pod and reason."""
        cause = series.cause
        queue, subject = self._namespaces.get(cause.namespace, {}), (cause.uid, cause.reason)
        older = queue.get(subject)
        if older is None:
            if self._length >= MOST or len(queue) >= MOST_PER_NAMESPACE:
                self._drop(Dropped.QUEUE_FULL)
                return
            self._length += 1
        elif older is not series:
            self._drop(Dropped.SUPERSEDED)
        queue[subject] = series
        self._namespaces[cause.namespace] = queue

    def put_back(self, series: Series) -> None:
        """Let *series* wait again, which was taken, unless there is a newer cause."""
        cause = series.cause
        if (
            newer := self._namespaces.get(cause.namespace, {}).get((cause.uid, cause.reason))
        ) is None:
            self.put(series)
        elif newer is not series:
            self._drop(Dropped.SUPERSEDED)

    def take(self, now: datetime) -> Series | None:
        """Take the next one of a namespace that is not held, if there is any."""
        namespace = next((each for each in self._namespaces if not self._is_held(each, now)), None)
        if namespace is None:
            return None
        queue = self._namespaces.pop(namespace)
        series = queue.pop(next(iter(queue)))
        self._length -= 1
        if queue:
            self._namespaces[namespace] = queue  # As the last one.
        return series

    def next_moment(self, now: datetime) -> datetime | None:
        """Return when something may be taken, *now* at the earliest; None: when it was put."""
        return min((self._free_at(each, now) for each in self._namespaces), default=None)

    def hold(self, namespace: str, now: datetime) -> None:
        """Hand out nothing of *namespace* for as long as HOLD."""
        self._held[namespace] = now

    def _is_held(self, namespace: str, now: datetime) -> bool:
        return self._free_at(namespace, now) > now

    def _free_at(self, namespace: str, now: datetime) -> datetime:
        since = self._held.get(namespace)
        # A clock that was set back must not prolong it.
        if since is None or not timedelta() <= now - since < HOLD:
            self._held.pop(namespace, None)
            return now
        return since + HOLD
