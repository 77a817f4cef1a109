"""How a run is divided whose tests run side by side, in processes of their own: `pytest -n 2`.

A file's tests stay together, since they may share what they start; so do those that share a
cluster. What is left over is shared by nobody: a process has its own ports, folders and networks.
"""

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# A test has the version of Kubernetes in its name (`testcluster.fixtures`).
_CLUSTER = re.compile(r"tests/cluster/test_(real_)?.*\[(?:.*-)?(\d+\.\d+\.\d+)")


def part_of(test: str) -> str:
    """Return what belongs together with *test*, which is named as pytest names it.

    A part in two processes would be a second cluster: time lost, and nothing wrong.
    """
    if found := _CLUSTER.match(test):
        real, version = found.groups()
        return f"{'real' if real else 'played'} nodes of {version}"
    return test.partition("::")[0]


class _Queue(LoadScopeScheduling):
    """Parts in the order in which they were collected; whoever is free takes the next."""

    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # How many tests a part has says nothing of its time.
    return _Queue(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have what needs a cluster begin first: it takes longest, and nobody shall wait for it."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: "kubernetes" not in getattr(item, "fixturenames", ()))
