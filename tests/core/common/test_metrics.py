"""Metrics are plain numbers under a declaration that cannot be left."""

import math

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from rolecall_common.metrics import (
    UNKNOWN,
    Counter,
    Gauge,
    Histogram,
    Kind,
    Label,
    Metric,
    register,
)

CALLS = Metric("rolecall_calls_total", Kind.COUNTER, "Calls.", (Label("result", ("ok", "denied")),))
NODES = Metric("rolecall_nodes", Kind.GAUGE, "Nodes.", (Label("version", bound="a few"),))
LEAST = Metric("rolecall_least_seconds", Kind.GAUGE, "The least.")
TOOK = Metric("rolecall_took_seconds", Kind.HISTOGRAM, "How long.", buckets=(0.1, 1.0))


def scrape(*recorders: Counter | Gauge | Histogram) -> dict[tuple[str, tuple[str, ...]], float]:
    registry = CollectorRegistry()
    register(registry, recorders)
    text = generate_latest(registry).decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_declared_series_is_there_before_it_moves() -> None:
    """A rate over a counter that was never scraped as 0 misses its first step."""
    calls = Counter(CALLS)

    assert scrape(calls) == {
        ("rolecall_calls_total", ("ok",)): 0,
        ("rolecall_calls_total", ("denied",)): 0,
    }


def test_a_value_that_is_not_declared_opens_no_series_of_its_own() -> None:
    """Whatever a peer or a library comes up with is counted as other."""
    calls = Counter(CALLS)
    calls.add("ok", by=2)
    calls.add("never heard of")
    calls.add("nor of this")

    assert scrape(calls)["rolecall_calls_total", ("other",)] == 2
    assert len(scrape(calls)) == 3


def test_a_wrong_number_of_labels_is_a_mistake_of_ours() -> None:
    """It is raised where it is made."""
    with pytest.raises(TypeError, match="rolecall_calls_total has the labels"):
        Counter(CALLS).add("ok", "twice")


def test_a_gauge_is_read_at_the_scrape() -> None:
    """Levels are asked, not followed; what nobody knows is NaN."""
    nodes: dict[tuple[str, ...], float] = {}
    gauges = (Gauge(NODES, lambda: nodes), Gauge(LEAST, lambda: UNKNOWN))
    nodes["1.0",] = 3

    seen = scrape(*gauges)
    assert seen["rolecall_nodes", ("1.0",)] == 3
    assert math.isnan(seen["rolecall_least_seconds", ()])


def test_a_histogram_counts_up_to_and_including_each_edge() -> None:
    """Prometheus's buckets are cumulative, and their edges belong to them."""
    took = Histogram(TOOK)
    for seconds in (0.05, 0.1, 0.5, 3.0):
        took.observe(seconds)

    assert scrape(took) == {
        ("rolecall_took_seconds_bucket", ("0.1",)): 2,
        ("rolecall_took_seconds_bucket", ("1.0",)): 3,
        ("rolecall_took_seconds_bucket", ("+Inf",)): 4,
        ("rolecall_took_seconds_count", ()): 4,
        ("rolecall_took_seconds_sum", ()): pytest.approx(3.65),
    }


@pytest.mark.parametrize(
    ("name", "kind", "buckets"),
    [
        ("rolecall_calls", Kind.COUNTER, ()),
        ("rolecall_nodes_total", Kind.GAUGE, ()),
        ("rolecall_took_seconds", Kind.HISTOGRAM, ()),
        ("rolecall_took_seconds", Kind.HISTOGRAM, (1.0, 0.5)),
        ("rolecall_nodes", Kind.GAUGE, (1.0,)),
    ],
)
def test_a_declaration_keeps_prometheus_conventions(
    name: str, kind: Kind, buckets: tuple[float, ...]
) -> None:
    """A name that lies about its kind does not get into a table."""
    with pytest.raises(ValueError, match=name):
        Metric(name, kind, "Something.", buckets=buckets)
