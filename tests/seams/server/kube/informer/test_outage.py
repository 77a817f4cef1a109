"""The API server is away for an hour of virtual time: a real watch, a real broker, fake time."""

import asyncio
import random
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta

from kubernetes.aio.client.configuration import Configuration

from fakes.clock import FakeClock
from fakes.engine import NODE, Engine, FakeAgent
from fakes.kube import FakeKube, fake_kube
from rolecall_proto.values import SessionRenewed
from rolecall_server.kube.informer.reflector import Reflector
from rolecall_server.kube.informer.resources import namespaces, pods
from rolecall_server.kube.transport import Transport
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.pods import Namespace, Pod

MINUTE = timedelta(minutes=1)
NOTES = {"iam.amazonaws.com/permitted": ".*"}


def pod(name: str, address: str, role: str) -> dict[str, object]:
    notes = {"iam.amazonaws.com/role": role}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "team", "annotations": notes},
        "spec": {"nodeName": NODE},
        "status": {"podIP": address},
    }


class Cluster:
    """Watches that feed an engine, and its clock and STS in the test's hand."""

    def __init__(self, fake: FakeKube, api: Transport) -> None:
        self.fake = fake
        self.clock = FakeClock()
        self.engine = Engine(listed=False)
        self.grown = asyncio.Condition()
        dice = random.Random(3)  # noqa: S311 - only jitter
        keys = AnnotationKeys()
        self.watches: tuple[Reflector[Pod] | Reflector[Namespace], ...] = (
            Reflector(pods(keys), api, self.clock, dice),
            Reflector(namespaces(keys), api, self.clock, dice),
        )

    async def feed(self, watch: Reflector[Pod] | Reflector[Namespace]) -> None:
        async with aclosing(watch.changes()) as changes:
            async for change in changes:
                async with self.grown:
                    self.engine.now = self.clock.now()
                    self.engine.apply(change)
                    self.grown.notify_all()

    async def until(self, holds: str) -> None:
        """Return once the broker's question *holds*, such as `synced`, is answered with yes."""
        async with asyncio.timeout(20), self.grown:
            await self.grown.wait_for(lambda: getattr(self.engine.broker, holds))

    async def a_minute(self, agent: FakeAgent) -> None:
        """Let a minute go by: both watches try again, and STS gives what is due."""
        await self.clock.asleep(2)
        self.clock.advance(MINUTE)
        self.engine.now = self.clock.now()
        self.engine.issue()
        agent.receive(self.engine.now)


async def test_an_hour_without_the_api_server() -> None:
    """Sessions are renewed as ever, what is known is served, and nothing is listed twice."""
    async with fake_kube() as fake, AsyncExitStack() as stack:
        await fake.put({"kind": "Namespace", "metadata": {"name": "team", "annotations": NOTES}})
        await fake.put(pod("web", "10.0.0.1", "reader"))

        async def configure() -> Configuration:
            return Configuration(host=fake.url)

        api = await stack.enter_async_context(Transport(configure))
        cluster = Cluster(fake, api)
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(cluster.feed(each), name="feed") for each in cluster.watches]
            await cluster.until("watch_fresh")
            await cluster.until("synced")
            engine = cluster.engine
            agent = engine.connect()
            engine.issue()
            agent.receive(engine.now)

            fake.away = True
            await fake.cut()
            for _ in range(60):
                await cluster.a_minute(agent)
            stale = not engine.broker.watch_fresh
            fake.away = False
            # The last minute has woken both watches: they are on their way.
            await fake.put(pod("late", "10.0.0.2", "writer"))
            async with asyncio.timeout(20), cluster.grown:
                await cluster.grown.wait_for(lambda: engine.broker.statistics(engine.now).pods == 2)
            await cluster.until("watch_fresh")
            for each in work:
                each.cancel()

    renewed = [each for each in agent.updates if isinstance(each, SessionRenewed)]
    assert stale
    # Sessions of an hour are renewed at 40 to 48 % of their life: twice within this hour.
    assert len(renewed) == 3
    assert [each.statistics.listings for each in cluster.watches] == [{"stream": 1}] * 2
    # One attempt a minute, which is as often as this clock lets them.
    assert all(each.statistics.failures <= 61 for each in cluster.watches)
