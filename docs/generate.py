"""Write the pages that follow from the code: settings, metrics and reasons.

Run `python docs/generate.py` after a change of a setting, a metric or a reason, and commit the
result; a test says when it was forgotten.
"""

import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import rolecall_agent.metrics
import rolecall_agent.settings
import rolecall_common.process_metrics
import rolecall_server.settings
import rolecall_server.telemetry.metrics
import rolecall_warden.settings
from rolecall_common.metrics import Metric
from rolecall_common.settings.declare import Setting, declared
from rolecall_proto.reasons import MEANINGS
from rolecall_proto.values import Reason, State

ROOT = Path(__file__).parent
_STATES = {
    State.GRANTED: "Its credentials. A reason is a remark here: it is served all the same.",
    State.DENIED: "No role, until somebody changes something.",
    State.PENDING: "A request waits for a moment, then 503; SDKs ask again.",
    State.FAILED: "No role. STS has refused, and is asked again, more and more seldom.",
}
_NOTE = "<!-- Written by docs/generate.py from the code. Edit the code, not this page. -->\n\n"


def settings_page() -> str:
    """Return docs/settings.md."""
    return (
        _NOTE
        + "# Settings\n\n"
        + "A setting is a flag, an environment variable and a name in a YAML file "
        + "(`--config FILE`, or `ROLECALL_CONFIG`).\n"
        + "A flag wins over a variable, a variable over the file, the file over the default.\n"
        + "What is unknown, malformed or contradictory is refused at start: exit code 2, "
        + "and one line for each problem.\n\n"
        + _side("rolecall server", declared(rolecall_server.settings.Settings))
        + _side("rolecall agent", declared(rolecall_agent.settings.Settings))
        + _side("rolecall warden", declared(rolecall_warden.settings.Settings))
    ).rstrip() + "\n"


def metrics_page() -> str:
    """Return docs/metrics.md."""
    return (
        _NOTE
        + "# Metrics\n\n"
        + "Served on `/metrics` of `adminListen`, a port of its own in both processes.\n"
        + "They are computed once a second at the most, however often they are scraped.\n"
        + "Names are stable: a rename is a breaking change and stands in the CHANGELOG.\n"
        + "No label is ever a pod, a role, a namespace or an address.\n\n"
        + "Both also export the kernel's `process_…` metrics of Prometheus' client.\n\n"
        + metrics_table("Both", rolecall_common.process_metrics.METRICS)
        + "\n"
        + metrics_table("Server", rolecall_server.telemetry.metrics.METRICS)
        + "\n"
        + metrics_table("Agent", rolecall_agent.metrics.METRICS)
    )


def reasons_page() -> str:
    """Return docs/reasons.md."""
    text = (
        _NOTE
        + "# Find out why a pod has no credentials\n\n"
        + "Why a pod has no credentials, or what somebody should know of one that has.\n"
        + "The same word stands in the log, in audit records and in the labels of metrics.\n"
        + "No pod is ever told: it is answered as if there were no role, or it waits.\n\n"
        + "| state | what the pod gets |\n|---|---|\n"
        + "".join(f"| {state} | {what} |\n" for state, what in _STATES.items())
        + "\n| reason | state | meaning | what to do |\n|---|---|---|---|\n"
    )
    for reason in Reason:
        each = MEANINGS[reason]
        states = " or ".join(each.states)
        text += f"| `{reason}` | {states} | {_cell(each.meaning)} | {_cell(each.remedy)} |\n"
    return text


def metrics_table(title: str, metrics: Sequence[Metric]) -> str:
    """Return one chapter in Markdown: a heading and a row for each metric, in order of name."""
    head = f"## {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
    return head + "".join(
        _metric_row(metric) for metric in sorted(metrics, key=lambda one: one.name)
    )


def _metric_row(metric: Metric) -> str:
    labels = "<br>".join(_metric_labels(metric)) or "none"
    meaning = f"{metric.meaning}{_metric_buckets(metric)}"
    return f"| `{metric.name}` | {metric.kind} | {labels} | {meaning} |\n"


def _metric_labels(metric: Metric) -> list[str]:
    return [f"`{label.name}`: {', '.join(label.values) or label.bound}" for label in metric.labels]


def _metric_buckets(metric: Metric) -> str:
    return (
        f" Buckets: {', '.join(f'{edge:g}' for edge in metric.buckets)}." if metric.buckets else ""
    )


def _side(command: str, settings: Iterable[Setting]) -> str:
    text = f"## {command}\n\n"
    for group, members in groupby(settings, key=lambda setting: setting.group):
        text += f"### {group}\n\n| setting | accepted | default | meaning |\n|---|---|---|---|\n"
        text += "".join(map(_setting_row, members)) + "\n"
    return text


def _setting_row(setting: Setting) -> str:
    default = "*required*" if setting.required else _code(setting.default_text)
    row = (f"`{setting.name}`", _cell(setting.type.accepted), default, _cell(setting.help))
    return f"| {' | '.join(row)} |\n"


def _code(text: str) -> str:
    return f"`{text}`" if text else "none"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


PAGES = {"settings.md": settings_page, "metrics.md": metrics_page, "reasons.md": reasons_page}


def main() -> int:
    for name, page in PAGES.items():
        (ROOT / name).write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
