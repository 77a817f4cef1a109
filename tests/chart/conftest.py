"""Fixtures of the chart's tests: Helm, and what it makes of the chart's own values."""

from pathlib import Path

import pytest

from chart.rendering import Helm, Rendering


@pytest.fixture(scope="session")
def helm(helm_program: Path) -> Helm:
    """Use the Helm that is built for the test cluster."""
    return Helm(helm_program)


@pytest.fixture(scope="session")
def default(helm: Helm) -> Rendering:
    """Render the chart with no values given."""
    return helm.render()
