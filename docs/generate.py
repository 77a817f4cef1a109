"""Write the pages that follow from the code: settings, metrics and reasons.

Run `python docs/generate.py` after a change of a setting, a metric or a reason, and commit the
result; a test says when it was forgotten.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import rolecall_agent.metrics
import rolecall_agent.settings
import rolecall_common.process
import rolecall_server.metrics
import rolecall_server.settings
from rolecall_common.metric_tables import table
from rolecall_common.settings import Setting, declared

ROOT = Path(__file__).parent
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
    ).rstrip() + "\n"


def metrics_page() -> str:
    """Return docs/metrics.md."""
    return (
        _NOTE
        + "# Metrics\n\n"
        + "Served on `/metrics` of `adminListen`, a port of its own in both processes.\n"
        + "Names are stable: a rename is a breaking change and stands in the CHANGELOG.\n"
        + "No label is ever a pod, a role, a namespace or an address.\n\n"
        + "Both also export the kernel's `process_…` metrics of Prometheus' client.\n\n"
        + table("Both", rolecall_common.process.METRICS)
        + "\n"
        + table("Server", rolecall_server.metrics.METRICS)
        + "\n"
        + table("Agent", rolecall_agent.metrics.METRICS)
    )


def _side(command: str, settings: Iterable[Setting]) -> str:
    text, group = f"## {command}\n\n", None
    for setting in settings:
        if setting.group != group:
            group = setting.group
            text += (
                f"### {group}\n\n| setting | accepted | default | meaning |\n|---|---|---|---|\n"
            )
        default = "*required*" if setting.required else _code(setting.default_text)
        row = (f"`{setting.name}`", _cell(setting.form.accepted), default, _cell(setting.help))
        text += f"| {' | '.join(row)} |\n"
        if setting is _last_of(settings, group):
            text += "\n"
    return text


def _last_of(settings: Iterable[Setting], group: str | None) -> Setting:
    return [each for each in settings if each.group == group][-1]


def _code(text: str) -> str:
    return f"`{text}`" if text else "none"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


PAGES = {"settings.md": settings_page, "metrics.md": metrics_page}


def main() -> int:
    for name, page in PAGES.items():
        (ROOT / name).write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
