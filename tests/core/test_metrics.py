"""Metrics are plain numbers under a declaration that cannot be left."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

from rolecall_common import exposition
from rolecall_common.kernel_account import account
from rolecall_common.metric_tables import table
from rolecall_common.metrics import (
    UNKNOWN,
    Counter,
    Distribution,
    Gauge,
    Histogram,
    Kind,
    Label,
    Metric,
    Registry,
    family,
    histogram_family,
    register,
)

CALLS = Metric("rolecall_calls_total", Kind.COUNTER, "Calls.", (Label("result", ("ok", "denied")),))
NODES = Metric("rolecall_nodes", Kind.GAUGE, "Nodes.", (Label("version", bound="a few"),))
LEAST = Metric("rolecall_least_seconds", Kind.GAUGE, "The least.")
TOOK = Metric("rolecall_took_seconds", Kind.HISTOGRAM, "How long.", buckets=(0.1, 1.0))


def scrape(*recorders: Counter | Gauge | Histogram) -> dict[tuple[str, tuple[str, ...]], float]:
    registry = Registry()
    register(registry, recorders)
    text = exposition.plain(registry.collect()).decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for each in plain(text)
        for sample in each.samples
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


@given(st.text(), st.floats())
def test_both_formats_say_the_same(version: str, number: float) -> None:
    """Whatever number there is, and whatever a label's value."""
    families = [
        family(NODES, {(version,): number}),
        family(CALLS, {("ok",): 1}),
        histogram_family(TOOK, {(): Distribution(TOOK.buckets, [1, 0, 2], 3.5)}),
    ]
    first, second = (
        [(each.type, each.documentation, each.samples) for each in parsed]
        for parsed in (
            plain(exposition.plain(families).decode()),
            open_metrics(exposition.open_metrics(families).decode()),
        )
    )

    assert repr(first) == repr(second)  # NaN is no equal of itself.
    declared = [(each.metric.kind, each.metric.meaning) for each in families]
    assert [each[:2] for each in first] == declared
    assert first[0][2][0].labels == {"version": version}
    assert repr(first[0][2][0].value) == repr(number)


def test_what_the_kernel_says_of_us_is_by_the_names_that_everybody_knows() -> None:
    """Dashboards of other programs fit."""
    told = {each.metric.name: each.samples[0].value for each in account()}

    assert set(told) == {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    }
    assert 0 < told["process_resident_memory_bytes"] < told["process_virtual_memory_bytes"]
    assert 0 < told["process_open_fds"] < told["process_max_fds"]
    assert told["process_start_time_seconds"] < time.time()
    assert told["process_cpu_seconds_total"] > 0


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


def test_a_meaning_is_written_in_one_way() -> None:
    """In HELP lines, quotes and backslashes are escaped in one format and not in the other."""
    with pytest.raises(ValueError, match="rolecall_nodes"):
        Metric("rolecall_nodes", Kind.GAUGE, 'The "nodes".')


def test_the_page_says_what_the_declaration_says() -> None:
    """One row each: name, kind, labels and meaning."""
    page = table("Server", [TOOK, CALLS, NODES])

    assert "| `rolecall_calls_total` | counter | `result`: ok, denied | Calls. |" in page
    assert "| `rolecall_nodes` | gauge | `version`: a few | Nodes. |" in page
    assert "| `rolecall_took_seconds` | histogram | none | How long. Buckets: 0.1, 1. |" in page
