"""Which Event is written next: each cause once, its repeats as a series, and within a budget.

Pure: no clock, no I/O. Nothing here grows with the number of pods beyond the bounds below. What
does not fit is counted and left out: the log and the audit records have it all the same.
"""

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolecall_server.credentials.rate_limiter import RateLimiter, RateLimits
from rolecall_server.kube.events.event_object import Cause, Series
from rolecall_server.kube.events.fair_queue import FairQueue, PodRateLimiter
from rolecall_server.telemetry.event_reasons import Dropped

# A fifth of what one kubelet may write.
_RATE = RateLimits(calls_per_second=10, burst=100, concurrency=1)
# How often one series is written again; its first repeat is written at once.
REFRESH = timedelta(minutes=5)
# client-go's recorder remembers as many. What is forgotten costs one call more, and its count.
MOST_REMEMBERED = 4096
# An API server that says of one Event now that it is there, now that it is not.
_MOST_CONTRADICTIONS = 3


@dataclass(frozen=True, slots=True)
class Write:
    """A call that reports *count* of *series*. It ends by one of the methods of `EventSeries`."""

    series: Series
    count: int


class EventSeries:
    """Takes causes in, and hands out one write after the other."""

    def __init__(self, drop: Callable[[Dropped], None]) -> None:
        """Have *drop* called for whatever is left out."""
        self._drop = drop
        self._limiter = RateLimiter(_RATE)
        self._pods = PodRateLimiter()
        self._queue = FairQueue(drop)
        self._series: OrderedDict[Cause, Series] = OrderedDict()  # The one seen last is the last.
        self._resting: list[tuple[datetime, int, Series]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        """Return how many series are remembered."""
        return len(self._series)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def observe(self, cause: Cause, now: datetime) -> None:
        """Take in that *cause* is there, for the first time or again."""
        series = self._series.get(cause)
        if series is None:
            if not self._pods.take(cause.uid, now):
                self._drop(Dropped.POD_BUDGET)
                return
            series = self._series[cause] = Series(cause, now, now)
            if len(self._series) > MOST_REMEMBERED:
                self._series.popitem(last=False)
        else:
            self._series.move_to_end(cause)
            series.count += 1
            series.last = now
        self._enqueue(series, now)

    def take(self, now: datetime) -> Write | None:
        """Take what is to be written now, if anything is; one is on its way at a time."""
        while self._resting and self._resting[0][0] <= now:
            _, _, rested = heapq.heappop(self._resting)
            rested.resting = False
            self._queue.put(rested)
        if not self._limiter.is_open(now) or (series := self._queue.take(now)) is None:
            return None
        self._limiter.start()
        return Write(series, series.count)

    def next_moment(self, now: datetime) -> datetime | None:
        """Return when `take` is to be called next; None: once something was seen."""
        moments = [self._resting[0][0]] if self._resting else []
        free, opens = self._queue.next_moment(now), self._limiter.opens_at(now)
        if free is not None and opens is not None:
            moments.append(max(free, opens))
        return min(moments, default=None)

    def written(self, write: Write, now: datetime) -> None:
        """Note that the API server has taken *write*."""
        self._limiter.complete()
        series = write.series
        series.exists, series.reported, series.written, series.contradictions = (
            True,
            write.count,
            now,
            0,
        )
        if series.count > series.reported:
            self._enqueue(series, now)

    def already_exists(self, write: Write) -> None:
        """Go on with the Event that is there already, by another replica or an earlier run."""
        write.series.exists = True
        write.series.count += 1
        self._try_again(write)

    def not_found(self, write: Write) -> None:
        """Begin a new Event, for the old one has expired."""
        series = write.series
        series.exists, series.reported, series.written = False, 0, None
        series.since, series.count = series.last, 1
        self._try_again(write)

    def postponed(self, write: Write) -> None:
        """Have *write* taken again, for nobody knows whether it was written."""
        self._limiter.complete()
        self._queue.put_back(write.series)

    def give_up(self, why: Dropped) -> None:
        """Drop the write that is on its way."""
        self._limiter.complete()
        self._drop(why)

    def hold(self, namespace: str, now: datetime) -> None:
        """Write nothing in *namespace* for some minutes; what is to be written there waits."""
        self._queue.hold(namespace, now)

    def _enqueue(self, series: Series, now: datetime) -> None:
        if series.resting:
            return
        if series.written is not None and series.reported > 1:
            # The clock may have been set back since.
            moment = min(series.written, now) + REFRESH
            if moment > now:
                series.resting = True
                heapq.heappush(self._resting, (moment, next(self._order), series))
                return
        self._queue.put(series)

    def _try_again(self, write: Write) -> None:
        write.series.contradictions += 1
        if write.series.contradictions > _MOST_CONTRADICTIONS:
            write.series.contradictions = 0
            self.give_up(Dropped.REJECTED)
        else:
            self.postponed(write)
