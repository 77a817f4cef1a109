"""Metrics: declared once in a table, kept as plain numbers, turned into text when scraped.

The declaration is where Prometheus's HELP line and docs/metrics.md both come from. The recorders
are plain integers without locks, for the one loop that writes them: a child of prometheus-client's
own costs 0.4 to 0.8 µs per step, which the path of a warm answer cannot afford.
"""

import bisect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family

# Where a value lands that no declaration names: a strange value neither fails nor opens a label.
OTHER = "other"


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Label:
    """A label and its closed list of values.

    Where nobody can know the list beforehand, *values* is empty and *bound* says what limits it.
    """

    name: str
    values: tuple[str, ...] = ()
    bound: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """The declaration of one metric; *name* is whole, `rolecall_` and `_total` included."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()  # Upper edges without +Inf, in the unit of the name.

    def __post_init__(self) -> None:
        """Raise ValueError where the declaration contradicts the conventions of Prometheus."""
        if (self.kind is Kind.COUNTER) != self.name.endswith("_total"):
            raise ValueError(f"{self.name}: counters, and only counters, end in _total")
        if (self.kind is Kind.HISTOGRAM) != bool(self.buckets):
            raise ValueError(f"{self.name}: histograms, and only histograms, have buckets")
        if list(self.buckets) != sorted(set(self.buckets)):
            raise ValueError(f"{self.name}: buckets rise")

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    def combinations(self) -> list[tuple[str, ...]]:
        """Return every combination of declared label values: series exist before they move."""
        return list(product(*(label.values for label in self.labels)))


class Recorder(Protocol):
    """Something that can be scraped."""

    metric: Metric

    def families(self) -> Iterator[Family]:
        """Yield the numbers as they are now."""
        ...


class Counter:
    """Counts. `add` takes the label values in the order of their declaration."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._counts: dict[tuple[str, ...], float] = dict.fromkeys(metric.combinations(), 0)

    def add(self, *labels: str, by: float = 1) -> None:
        key = labels if labels in self._counts else closed(self.metric, labels)
        self._counts[key] = self._counts.get(key, 0) + by

    def value(self, *labels: str) -> float:
        return self._counts.get(labels, 0)

    def families(self) -> Iterator[Family]:
        yield counter_family(self.metric, self._counts)


class Gauge:
    """Reads a level at the moment of the scrape.

    *read* returns a number, or a number for each combination of label values; NaN for "not known".
    """

    def __init__(
        self, metric: Metric, read: Callable[[], float | Mapping[tuple[str, ...], float]]
    ) -> None:
        self.metric = metric
        self._read = read

    def families(self) -> Iterator[Family]:
        now = self._read()
        yield gauge_family(self.metric, now if isinstance(now, Mapping) else {(): now})


@dataclass(slots=True)
class Distribution:
    """One series of a histogram: how many fell into each bucket, and their sum."""

    edges: tuple[float, ...]
    counts: list[int]
    total: float = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect.bisect_left(self.edges, value)] += times
        self.total += value * times


class Histogram:
    """Observes values. `at` hands out one series, for whoever observes often."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._series: dict[tuple[str, ...], Distribution] = {}
        for labels in metric.combinations():
            self.at(*labels)

    def at(self, *labels: str) -> Distribution:
        if labels not in self._series:
            labels = closed(self.metric, labels)
            empty = Distribution(self.metric.buckets, [0] * (len(self.metric.buckets) + 1))
            return self._series.setdefault(labels, empty)
        return self._series[labels]

    def observe(self, value: float, *labels: str) -> None:
        self.at(*labels).observe(value)

    def families(self) -> Iterator[Family]:
        yield histogram_family(self.metric, self._series)


def closed(metric: Metric, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return *labels* with each value that is not declared replaced by `other`."""
    if len(labels) != len(metric.labels):
        raise TypeError(f"{metric.name} has the labels {metric.label_names}, not {labels!r}")
    return tuple(
        value if not label.values or value in label.values else OTHER
        for label, value in zip(metric.labels, labels, strict=True)
    )


def counter_family(metric: Metric, counts: Mapping[tuple[str, ...], float]) -> Family:
    """Turn plain *counts* by label values into what a collector yields."""
    family = CounterMetricFamily(metric.name, metric.meaning, labels=metric.label_names)
    for labels, count in counts.items():
        family.add_metric(labels, count)
    return family


def gauge_family(metric: Metric, levels: Mapping[tuple[str, ...], float]) -> Family:
    """Turn plain *levels* by label values into what a collector yields."""
    family = GaugeMetricFamily(metric.name, metric.meaning, labels=metric.label_names)
    for labels, level in levels.items():
        family.add_metric(labels, level)
    return family


def histogram_family(metric: Metric, series: Mapping[tuple[str, ...], Distribution]) -> Family:
    """Turn plain distributions by label values into what a collector yields."""
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.label_names)
    edges = [*(repr(float(edge)) for edge in metric.buckets), "+Inf"]
    for labels, distribution in series.items():
        running, cumulative = 0, []
        for edge, count in zip(edges, distribution.counts, strict=True):
            running += count
            cumulative.append((edge, running))
        family.add_metric(labels, cumulative, sum_value=distribution.total)
    return family


class _Scrape:
    """What prometheus-client calls a collector: many recorders behind one registration."""

    def __init__(self, recorders: Iterable[Recorder]) -> None:
        self._recorders = tuple(recorders)

    def collect(self) -> Iterator[Family]:
        for recorder in self._recorders:
            yield from recorder.families()


def register(registry: CollectorRegistry, recorders: Iterable[Recorder]) -> None:
    """Add *recorders* to *registry*; raises ValueError where two share a name."""
    registry.register(_Scrape(recorders))


UNKNOWN = math.nan  # A gauge's level that nobody knows (yet).
