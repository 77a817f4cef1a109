"""Renders what was measured as plain text, with what is promised beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.endpoint import DIFFERENT, Comparison


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: what it is, what it came to, what is promised, and whether that holds."""

    what: str
    figure: str
    promised: str = ""
    kept: bool | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """What a case of the endpoint has to reach, beside the peers' recorded shares of nginx."""

    share: float | None = None
    kube2iam: float | None = None
    kiam: float | None = None


# Peers: their shares of nginx on one core of such a machine, measured once in the same way.
PROMISES = {
    "1 client": Promise(kube2iam=0.752, kiam=0.379),
    "64 clients": Promise(share=0.80, kube2iam=0.226, kiam=0.087),
    "256 clients": Promise(kube2iam=0.203, kiam=0.076),
    "64 clients, a connection per request": Promise(share=0.97, kube2iam=0.841, kiam=0.476),
    "64 clients, IMDSv2 token and an SDK's headers": Promise(share=0.65),
    DIFFERENT: Promise(),
    "64 clients, token, list and document, a connection each": Promise(),
}
_HEADER = (
    "the endpoint, warm", "requests/s", "nginx", "share", "promised", "kube2iam", "kiam",
    "CPU s/10k", "nginx", "p50 ms", "p99 ms", "nginx", "p99.9 ms", "failed",
)  # fmt: skip


def endpoint_table(comparisons: Sequence[Comparison]) -> str:
    """Return the endpoint's figures beside nginx's and the peers' recorded shares."""
    return _aligned([_HEADER, *(_endpoint_row(comparison) for comparison in comparisons)])


def lines_table(lines: Sequence[Line]) -> str:
    """Return everything that is not a comparison with nginx."""
    rows = [(line.what, line.figure, line.promised, _mark(line.kept)) for line in lines]
    return _aligned([("measured", "figure", "promised", "kept"), *rows])


def _endpoint_row(comparison: Comparison) -> tuple[str, ...]:
    ours, nginx = comparison.ours, comparison.nginx
    promise = PROMISES[comparison.case.name]
    return (
        comparison.case.name,
        f"{ours.rate:,.0f}",
        f"{nginx.rate:,.0f}",
        _percent(comparison.share),
        _percent(promise.share, "at least "),
        _percent(promise.kube2iam),
        _percent(promise.kiam),
        f"{ours.cpu_per_10k:.3f}",
        f"{nginx.cpu_per_10k:.3f}",
        f"{ours.p50:.2f}",
        f"{ours.p99:.2f}",
        f"{nginx.p99:.2f}",
        f"{ours.p999:.2f}",
        str(ours.failures + nginx.failures),
    )


def _percent(share: float | None, before: str = "") -> str:
    return "" if share is None else f"{before}{share:.1%}"


def _mark(kept: bool | None) -> str:  # noqa: FBT001 (three states of one figure)
    return {True: "yes", False: "NO", None: ""}[kept]


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Align the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
