"""The page of metrics for operators, written from the tables that declare them."""

from collections.abc import Sequence

from rolecall_common.metrics import Metric


def table(title: str, metrics: Sequence[Metric]) -> str:
    """Return one chapter in Markdown: a heading and a row for each metric, in order of name."""
    head = f"## {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
    return head + "".join(_row(metric) for metric in sorted(metrics, key=lambda one: one.name))


def _row(metric: Metric) -> str:
    labels = "<br>".join(_labels(metric)) or "none"
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning}{_buckets(metric)} |\n"


def _labels(metric: Metric) -> list[str]:
    return [f"`{label.name}`: {', '.join(label.values) or label.bound}" for label in metric.labels]


def _buckets(metric: Metric) -> str:
    return (
        f" Buckets: {', '.join(f'{edge:g}' for edge in metric.buckets)}." if metric.buckets else ""
    )
