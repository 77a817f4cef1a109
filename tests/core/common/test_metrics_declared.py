"""What is declared is exported, what is exported is declared, and every label's list is closed."""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family

import rolecall_agent.metrics
import rolecall_common.process_metrics
import rolecall_server.telemetry.metrics
from fakes.clock import FakeClock
from fakes.replica import Certificates, Replica
from rolecall_agent.http.server import Server
from rolecall_agent.metadata.endpoint import MetadataEndpoint
from rolecall_agent.metadata.item_cache import ItemCache
from rolecall_agent.metrics import AgentCollector
from rolecall_agent.store.cache import Cache
from rolecall_agent.sync.ca_bundle import CaBundleFile
from rolecall_agent.sync.stream import Statistics
from rolecall_common.audit import AuditLog
from rolecall_common.metrics import Kind, Metric, register
from rolecall_common.process_metrics import ProcessMetrics
from rolecall_server.admin.collector import ServerCollector
from rolecall_server.startup.backends import SourceLevels

TABLES = (
    rolecall_common.process_metrics,
    rolecall_server.telemetry.metrics,
    rolecall_agent.metrics,
)
ALONE = Statistics(
    connected=False,
    server="",
    last_message_at=None,
    end_reasons={},
    skipped=0,
    server_clock_ahead=None,
)
ALL = [metric for module in TABLES for metric in module.METRICS]


def server(folder: Path) -> CollectorRegistry:
    """Return what a server registers, made of its real parts, with nothing told to it yet."""
    registry, clock = CollectorRegistry(), FakeClock()
    replica = Replica(clock, Certificates(folder))
    register(registry, rolecall_server.telemetry.metrics.Metrics().recorders())
    registry.register(
        ServerCollector(
            replica.broker, replica.service, replica.certificate, SourceLevels, clock.now
        )
    )
    return registry


def agent(folder: Path) -> CollectorRegistry:
    """Return what an agent registers."""
    registry, clock, cache = CollectorRegistry(), FakeClock(), Cache()
    server = Server(MetadataEndpoint(cache), cache, clock)
    trust = CaBundleFile(Certificates(folder).bundle, clock.now)
    registry.register(AgentCollector([server], ItemCache(), cache, lambda: ALONE, trust, clock.now))
    return registry


def both(_: Path) -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessMetrics(AuditLog(None), lambda: 0).register(registry)
    return registry


SIDES = [
    (both, rolecall_common.process_metrics.METRICS),
    (server, rolecall_server.telemetry.metrics.METRICS),
    (agent, rolecall_agent.metrics.METRICS),
]


def named(family: Family) -> str:
    return family.name + ("_total" if family.type == Kind.COUNTER else "")


def ours(registry: CollectorRegistry) -> dict[str, Family]:
    return {
        named(family): family
        for family in registry.collect()
        if family.name.startswith("rolecall_")
    }


@pytest.mark.parametrize(("side", "table"), SIDES, ids=["both", "server", "agent"])
async def test_a_process_that_was_told_nothing_yet_exports_its_whole_table(
    side: Callable[[Path], CollectorRegistry], table: Iterable[Metric], tmp_path: Path
) -> None:
    """A dashboard and an alert find their series from the first scrape on, and no other ones."""
    exported = ours(side(tmp_path))

    assert set(exported) == {metric.name for metric in table}
    for metric in table:
        assert exported[metric.name].type == metric.kind
        assert exported[metric.name].documentation == metric.meaning


@pytest.mark.parametrize(("side", "table"), SIDES, ids=["both", "server", "agent"])
async def test_every_label_value_is_a_declared_one(
    side: Callable[[Path], CollectorRegistry], table: Iterable[Metric], tmp_path: Path
) -> None:
    """No series has a label that its table does not name, or a value outside its list."""
    exported = ours(side(tmp_path))

    for metric in table:
        lists = {label.name: label.values for label in metric.labels}
        for sample in exported[metric.name].samples:
            labels = {name: value for name, value in sample.labels.items() if name != "le"}
            assert labels.keys() == lists.keys()
            assert all(not lists[name] or value in lists[name] for name, value in labels.items())


@pytest.mark.parametrize("module", TABLES, ids=lambda module: module.__name__)
def test_no_declaration_is_left_out_of_its_table(module: ModuleType) -> None:
    """The page for operators is written from the table."""
    declared = [each for each in vars(module).values() if isinstance(each, Metric)]

    assert sorted(module.METRICS, key=str) == sorted(declared, key=str)


def test_no_two_metrics_share_a_name() -> None:
    """One Prometheus scrapes both processes."""
    names = [metric.name for metric in ALL]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_a_declaration_is_named_and_explained_as_prometheus_has_it(metric: Metric) -> None:
    """Our prefix, base units, a sentence, and never a pod, a role or an address as a label."""
    assert metric.name.startswith("rolecall_")
    assert not metric.name.removesuffix("_total").endswith(("_ms", "_millis", "_minutes"))
    assert metric.meaning.endswith(".")
    assert all(label.values or label.bound for label in metric.labels)
    assert not {"pod", "namespace", "role", "address", "uid", "node"} & set(metric.label_names)
