"""What waits to be written: one lane for each namespace, and the lanes take turns."""

from collections.abc import Callable
from datetime import datetime, timedelta

from rolecall_proto.values import PodUid
from rolecall_server.kube.events.event_object import Series
from rolecall_server.telemetry.event_reasons import Dropped, EventReason

# The whole is seven minutes' worth of writing. One namespace has no more than its part, so that
# whoever has 10,000 pods denied at once does not take the Event away from whoever has one.
MOST = 4000
MOST_IN_LANE = 1000
# How long a namespace is left alone in which nothing may be written.
HOLD = timedelta(minutes=5)

# Of each pod and reason the newest cause counts: it says how things are.
_Lane = dict[tuple[PodUid, EventReason], Series]


class Lanes:
    """A bounded queue that is just to namespaces."""

    def __init__(self, drop: Callable[[Dropped], None]) -> None:
        self._drop = drop
        self._lanes: dict[str, _Lane] = {}  # None is empty; the first one is next.
        self._held: dict[str, datetime] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, series: Series) -> None:
        """Let *series* wait, in the place of an older cause of its pod and reason."""
        cause = series.cause
        lane, subject = self._lanes.get(cause.namespace, {}), (cause.uid, cause.reason)
        older = lane.get(subject)
        if older is None:
            if self._length >= MOST or len(lane) >= MOST_IN_LANE:
                self._drop(Dropped.QUEUE_FULL)
                return
            self._length += 1
        elif older is not series:
            self._drop(Dropped.SUPERSEDED)
        lane[subject] = series
        self._lanes[cause.namespace] = lane

    def put_back(self, series: Series) -> None:
        """Let *series* wait again, which was taken, unless there is a newer cause."""
        cause = series.cause
        if (newer := self._lanes.get(cause.namespace, {}).get((cause.uid, cause.reason))) is None:
            self.put(series)
        elif newer is not series:
            self._drop(Dropped.SUPERSEDED)

    def take(self, now: datetime) -> Series | None:
        """Take the next one of a namespace that is not held, if there is any."""
        namespace = next((each for each in self._lanes if not self._is_held(each, now)), None)
        if namespace is None:
            return None
        lane = self._lanes.pop(namespace)
        series = lane.pop(next(iter(lane)))
        self._length -= 1
        if lane:
            self._lanes[namespace] = lane  # As the last one.
        return series

    def next_moment(self, now: datetime) -> datetime | None:
        """Return when something may be taken, *now* at the earliest; None: when it was put."""
        return min((self._free_at(each, now) for each in self._lanes), default=None)

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
