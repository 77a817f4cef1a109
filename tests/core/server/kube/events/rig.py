"""A series of Events and its time, for tests of what is written when."""

from collections import Counter
from datetime import timedelta

from fakes.clock import START
from rolecall_proto.values import PodUid
from rolecall_server.kube.events.event_object import (
    Cause,
)
from rolecall_server.kube.events.series import EventSeries, Write
from rolecall_server.telemetry.event_reasons import Dropped, EventReason


def cause(
    pod: str = "web",
    note: str = "no",
    reason: EventReason = EventReason.ROLE_DENIED,
    namespace: str = "team",
) -> Cause:
    return Cause(PodUid(f"uid-{namespace}-{pod}"), namespace, pod, reason, note)


class Rig:
    """A book of series, its time, and an API server that takes everything."""

    def __init__(self) -> None:
        self.now = START
        self.dropped: Counter[Dropped] = Counter()
        self.series = EventSeries(lambda why: self.dropped.update([why]))
        self.written: list[tuple[str, int, bool]] = []  # Pod, count, whether it is a new Event.

    def see(self, *causes: Cause) -> None:
        for each in causes:
            self.series.observe(each, self.now)

    def take(self) -> Write:
        write = self.series.take(self.now)
        assert write is not None
        return write

    def write(self) -> list[tuple[str, int, bool]]:
        """Write what may be written now, and return it."""
        before = len(self.written)
        while (write := self.series.take(self.now)) is not None:
            series = write.series
            self.written.append((series.cause.pod, write.count, not series.exists))
            self.series.written(write, self.now)
        return self.written[before:]

    def write_for(self, duration: timedelta) -> list[tuple[str, int, bool]]:
        """Write whenever the series say so, for as long as *duration*."""
        before, end = len(self.written), self.now + duration
        while self.now < end:
            self.write()
            self.now = min(self.series.next_moment(self.now) or end, end)
        return self.written[before:]
