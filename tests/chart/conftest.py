"""Fixtures of the chart's tests: Helm, and what it makes of the chart's own values."""

import shutil
from pathlib import Path

import pytest

from chart.rendering import Helm, Rendering
from testcluster.binaries import Binaries
from testcluster.versions import NEWEST


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Find Helm: the one that is built for the test cluster, else the machine's own."""
    built = Binaries(NEWEST).helm
    if built.exists():
        return Helm(built)
    if found := shutil.which("helm"):
        return Helm(Path(found))
    pytest.skip("needs helm: `scripts/cluster build` builds it")


@pytest.fixture(scope="session")
def default(helm: Helm) -> Rendering:
    """Render the chart with no values given."""
    return helm.render()
