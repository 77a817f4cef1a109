"""What the metadata endpoint counts and records of what it serves."""

import logging
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from fakes.endpoint_rig import (
    DOCUMENT,
    LIST,
    OWN,
    ROLES,
    START,
    Rig,
    endpoint_rig,
    known,
    pod,
    request,
    session,
)
from fakes.replica import Certificates
from rolecall_agent.decision import Outcome, PathClass, Route
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


async def test_a_pod_without_a_token_is_counted_each_time_and_named_once(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever wants to require tokens knows before whom that would stop."""
    caplog.set_level(logging.INFO, "rolecall_agent.metadata")
    async with rig.client() as client:  # From memory, all but the first.
        for _ in range(3):
            client.send(DOCUMENT)
            await client.answer()
    await rig.ask(LIST)
    await rig.ask(request("/latest/user-data"))
    named = [vars(record) for record in caplog.records if "without a token" in record.getMessage()]

    assert rig.server.counters.tokenless == 5
    assert [(each["pod_uid"], each["namespace"]) for each in named] == [(f"uid-{OWN}", "shop")]


async def test_who_has_a_token_or_fails_for_its_lack_is_not_counted_among_those_without(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither would fail once tokens are required: one does not, the other has."""
    caplog.set_level(logging.INFO, "rolecall_agent.metadata")
    rig.snapshot(*known(pod(OWN), pod("127.0.0.3", imdsv2_required=True)))
    ttl = "X-aws-ec2-metadata-token-ttl-seconds: 60"
    [token] = await rig.ask(request("/latest/api/token", ttl, method="PUT"))
    proof = f"X-aws-ec2-metadata-token: {token.body.decode()}"
    [with_token] = await rig.ask(request(f"{ROLES}/reader", proof))
    [without] = await rig.ask(LIST, "127.0.0.3")

    assert (with_token.status, without.status) == (200, 401)
    assert rig.server.counters.tokenless == 0
    assert "without a token" not in caplog.text


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/latest/meta-data/spot/instance-action", PathClass.SPOT),
        ("/latest/meta-data/events/recommendations/rebalance", PathClass.EVENTS),
        ("/latest/meta-data/mac", PathClass.NETWORK),
        ("/latest/meta-data/tags/instance/Name", PathClass.TAGS),
        ("/latest/dynamic/instance-identity/document", PathClass.IDENTITY_DOCUMENT),
        ("/latest/user-data", PathClass.USER_DATA),
        ("/latest/meta-data/public-keys/", PathClass.OTHER),
    ],
)
async def test_a_path_that_pods_are_not_told_is_counted_by_its_class(
    rig: Rig, path: str, kind: PathClass
) -> None:
    """A node handler that learns nothing of an interruption is seen before the interruption."""
    [answer] = await rig.ask(request(path))
    await rig.ask(request(f"{ROLES}/another"))  # No path of the node's.

    assert answer.status == 404
    assert +rig.server.counters.refused_paths == {kind: 1}


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
