"""How every run draws its examples, and what it says at its end: what was left out, and why."""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

# Clusters are for tests in several folders, and each is started once; `pytest -n 2` divides a run.
pytest_plugins = ("testcluster.fixtures", "sidebyside")

# Set by `scripts/test --all`, and so in continuous integration: a skip is a failure.
NOTHING_LEFT_OUT = os.environ.get("ROLECALL_NOTHING_LEFT_OUT") == "1"

# A slow machine is no fault of an example. There each run draws the same ones, so that a change is
# refused for what it changed; elsewhere each run draws others.
settings.register_profile(
    "rolecall",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=NOTHING_LEFT_OUT,
)
settings.load_profile("rolecall")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = Counter(_reason(report) for report in _skipped(terminalreporter))
    if not left_out:
        return
    title = "left out, where nothing may be" if NOTHING_LEFT_OUT else "left out on this machine"
    terminalreporter.section(title)
    for reason, count in left_out.most_common():
        terminalreporter.line(f"{count} x {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if NOTHING_LEFT_OUT and reporter is not None and _skipped(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skipped(reporter: pytest.TerminalReporter) -> list[pytest.TestReport]:
    return list(reporter.stats.get("skipped", []))


def _reason(report: pytest.TestReport) -> str:
    # A skip's `longrepr` is (file, line, "Skipped: reason"); pytest's types leave it open.
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return str(text).removeprefix("Skipped: ")
