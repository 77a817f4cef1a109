"""What both processes tell of themselves: version, memory, and whether the loop turns."""

import asyncio
import platform
from collections.abc import Callable, Iterator
from typing import NoReturn

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric as Family

from rolecall_common.audit import AuditLog
from rolecall_common.metrics import (
    Histogram,
    Kind,
    Label,
    Metric,
    counter_family,
    gauge_family,
    register,
)
from rolecall_common.version import VERSION

BUILD = Metric(
    "rolecall_build_info",
    Kind.GAUGE,
    "Always 1; its labels say what is running.",
    (Label("version", bound="this version"), Label("python", bound="this interpreter")),
)
AUDIT_LOST = Metric(
    "rolecall_audit_records_lost_total",
    Kind.COUNTER,
    "Audit records that could not be written.",
)
LOG_LOST = Metric(
    "rolecall_log_lines_lost_total",
    Kind.COUNTER,
    "Lines of the log that could not be written.",
)
LOOP_LAG = Metric(
    "rolecall_event_loop_lag_seconds",
    Kind.HISTOGRAM,
    "How much later than asked for the event loop comes round, looked at once a second.",
    buckets=(0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0),
)
METRICS = (BUILD, AUDIT_LOST, LOG_LOST, LOOP_LAG)

_LOOK_EVERY = 1.0  # seconds; a look costs some microseconds


class ProcessMetrics:
    """The process itself, as a scrape sees it."""

    def __init__(self, audit: AuditLog, log_lines_lost: Callable[[], int]) -> None:
        self._audit = audit
        self._log_lines_lost = log_lines_lost
        self._lag = Histogram(LOOP_LAG)

    def register(self, registry: CollectorRegistry) -> None:
        """Add what is known of the process, and what the kernel says of it (`process_…`)."""
        registry.register(self)
        register(registry, [self._lag])
        ProcessCollector(registry=registry)

    def collect(self) -> Iterator[Family]:
        yield gauge_family(BUILD, {(VERSION, platform.python_version()): 1})
        yield counter_family(AUDIT_LOST, {(): self._audit.lost})
        yield counter_family(LOG_LOST, {(): self._log_lines_lost()})

    async def measure_loop(self) -> NoReturn:
        """Measure the loop until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LOOK_EVERY
            await asyncio.sleep(_LOOK_EVERY)
            self._lag.observe(max(0.0, loop.time() - due))
