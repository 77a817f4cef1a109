"""An agent in doubt has pods confirmed, by the very question that its request raised."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from fakes.clock import START, FakeClock
from fakes.replica import Certificates, Node, Replica, following, pod
from rolecall_agent.witness.bindings import Bindings
from rolecall_agent.witness.entries import Query
from rolecall_agent.witness.observation import LinkId, Observation, Way
from rolecall_proto.values import Address, Confirmation, PodUid

HERE = ip_address("10.0.0.1")


class Witness:
    """A witness that has seen a link come after its pod was named."""

    def __init__(self) -> None:
        self.bindings = Bindings({})
        self.bindings.set_links([LinkId(1, 1)])
        link = LinkId(1, 1, born_at=START - timedelta(seconds=5))
        self.bindings.claim(HERE, {PodUid("web"): None}, START)
        self.bindings.observe(HERE, Observation(Way.ROUTE, link), START)
        self.answered = asyncio.Event()

    def query(self, addresses: Iterable[Address]) -> Query:
        return self.bindings.query(addresses)

    def answer(self, query: Query, read: Mapping[PodUid, Confirmation]) -> None:
        self.bindings.answer(query, read, START)
        self.answered.set()


async def test_a_doubted_pod_is_confirmed_by_the_server(tmp_path: Path) -> None:
    """One question, and its answer is enough: nothing has to come by the stream."""
    certificates, clock, live_reads = Certificates(tmp_path), FakeClock(), Witness()
    replica, node = Replica(clock, certificates), Node(clock)
    replica.sync(pod("web", "10.0.0.1"))
    async with (
        replica.listening(),
        following(node, certificates, replica.address, live_reads=live_reads) as follower,
        asyncio.timeout(10),
    ):
        await node.synced()
        assert live_reads.bindings.holders[HERE] == "suspended"
        follower.resolver.enqueue(HERE)
        await live_reads.answered.wait()

    assert live_reads.bindings.holders[HERE] == "web"


async def test_a_pod_that_has_gone_is_not_confirmed(tmp_path: Path) -> None:
    """The server does not know it any more, and so says nothing of it."""
    certificates, clock, live_reads = Certificates(tmp_path), FakeClock(), Witness()
    replica, node = Replica(clock, certificates), Node(clock)
    replica.sync(pod("another", "10.0.0.1"))
    async with (
        replica.listening(),
        following(node, certificates, replica.address, live_reads=live_reads) as follower,
        asyncio.timeout(10),
    ):
        await node.synced()
        follower.resolver.enqueue(HERE)
        await live_reads.answered.wait()

    assert live_reads.bindings.holders[HERE] == "suspended"
