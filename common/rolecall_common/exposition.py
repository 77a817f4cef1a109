"""What a scrape is answered with, as Prometheus and as OpenMetrics write it.

Written here because the usual client library is made for much more, and would be 3.4 MB of the
agent's memory, measured.
"""

from collections.abc import Iterable

from rolecall_common.metrics import Family, Sample

PLAIN_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPEN_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_NO_NUMBERS = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def plain(families: Iterable[Family]) -> bytes:
    """Return *families* in Prometheus's own text format."""
    return "".join(_written(each, each.metric.name) for each in families).encode()


def open_metrics(families: Iterable[Family]) -> bytes:
    """Return *families* in OpenMetrics's format, in which a counter's family has a shorter name."""
    text = "".join(_written(each, each.metric.name.removesuffix("_total")) for each in families)
    return f"{text}# EOF\n".encode()


def _written(family: Family, name: str) -> str:
    head = f"# HELP {name} {family.metric.meaning}\n# TYPE {name} {family.metric.kind}\n"
    return head + "".join(map(_line, family.samples))


def _line(sample: Sample) -> str:
    labels = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in sample.labels.items())
    number = repr(float(sample.value))
    place = f"{sample.name}{{{labels}}}" if labels else sample.name
    return f"{place} {_NO_NUMBERS.get(number, number)}\n"
