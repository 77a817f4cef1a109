"""What the metadata endpoint counts and records of what it serves."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from fakes.endpoint_rig import (
    DOCUMENT,
    LIST,
    OWN,
    START,
    Rig,
    endpoint_rig,
    known,
    pod,
    session,
)
from fakes.replica import Certificates
from rolecall_agent.decision import Outcome, Route
from rolecall_agent.metrics import METRICS, AgentCollector
from rolecall_agent.sync.ca_bundle import CaBundleFile
from rolecall_agent.sync.stream import Statistics as StreamStatistics
from rolecall_agent.sync.stream_end import EndReason
from rolecall_proto.values import (
    Heartbeat,
    SessionRenewed,
)


@pytest.fixture
async def rig() -> AsyncGenerator[Rig]:
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN)))
        yield rig


async def test_the_first_serve_of_a_session_is_told_once(rig: Rig) -> None:
    """Once for each pod and set of credentials, by the document and not by the list."""
    await rig.ask(LIST)
    told_by_the_list = list(rig.served)
    for _ in range(3):
        await rig.ask(DOCUMENT)
    rig.tell(SessionRenewed(session(key="ASIA2")))
    await rig.ask(DOCUMENT)

    assert told_by_the_list == []
    assert rig.served == [
        (f"uid-{OWN}", "ASIA1 metadata"),
        (f"uid-{OWN}", "ASIA2 metadata"),
    ]


async def test_answers_from_memory_are_counted_as_all_others(rig: Rig) -> None:
    """How a document was found makes no difference to what the metrics say."""
    async with rig.client() as client:
        for _ in range(5):
            client.send(DOCUMENT)
            await client.answer()
    counters = rig.server.counters

    assert +counters.requests == {(Route.ROLE_DOCUMENT, 200, Outcome.SERVED): 5}
    assert sum(counters.durations[Route.ROLE_DOCUMENT].counts) == 5
    assert sum(counters.remaining.counts) == 5
    assert counters.remaining.total == pytest.approx(5 * 55 * 60, abs=5)


async def test_nothing_is_answered_from_a_memory_that_was_dropped(rig: Rig) -> None:
    """An update that changes nothing for this pod drops what is remembered, and no count."""
    async with rig.client() as client:
        for number in range(5):
            client.send(DOCUMENT)
            await client.answer()
            if number == 2:  # The connection has an answer at hand by now.
                rig.tell(Heartbeat(START))

    assert +rig.server.counters.requests == {(Route.ROLE_DOCUMENT, 200, Outcome.SERVED): 5}


async def test_a_scrape_shows_every_declared_metric(rig: Rig, tmp_path: Path) -> None:
    """It is parsed as Prometheus parses it, and no label has a value that is not declared."""
    await rig.ask(DOCUMENT)
    await rig.ask(LIST, "127.0.0.99")
    registry = CollectorRegistry()
    stream = StreamStatistics(
        connected=True,
        server="a:1",
        last_message_at=START,
        end_reasons={EndReason.SILENT: 2},
        skipped=0,
        server_clock_ahead=None,
    )
    ca_bundle_file = CaBundleFile(Certificates(tmp_path).bundle, rig.clock.now)
    registry.register(
        AgentCollector(
            [rig.server],
            rig.item_fetcher.cache,
            rig.cache,
            lambda: stream,
            ca_bundle_file,
            rig.clock.now,
        )
    )
    families = {
        family.name: family
        for family in text_string_to_metric_families(generate_latest(registry).decode())
    }

    for metric in METRICS:
        allowed = {label.name: {*label.values} for label in metric.labels}
        for sample in families[metric.name.removesuffix("_total")].samples:
            labels = {name: value for name, value in sample.labels.items() if name != "le"}
            assert labels.keys() == allowed.keys()
            assert all(value in allowed[name] for name, value in labels.items()), sample
    served = {"endpoint": "metadata", "route": "role_document", "code": "200", "outcome": "served"}
    assert registry.get_sample_value("rolecall_agent_requests_total", served) == 1
    bucket = "rolecall_served_credential_remaining_seconds_bucket"
    assert registry.get_sample_value(bucket, {"le": "2700.0"}) == 0
    assert registry.get_sample_value(bucket, {"le": "3600.0"}) == 1
