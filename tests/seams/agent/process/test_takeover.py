"""When the container endpoint of an agent that may not be alone on its node opens and closes."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.clock import START, FakeClock
from fakes.endpoint_rig import LIMIT, pod
from rolecall_agent.process.departure import Departure
from rolecall_agent.process.inherited import Inherited
from rolecall_agent.process.shared_port import SharedPort
from rolecall_agent.process.sockets import CONTAINER, METADATA
from rolecall_agent.process.takeover import ContainerPart, Takeover, WarmUp
from rolecall_agent.store.cache import Cache
from rolecall_common import endpoint_file
from rolecall_proto.values import Assignment, AssignmentUpserted, Reason, SnapshotEnd, State

HALF_A_MINUTE = timedelta(seconds=30)


class BugError(Exception):
    """What nobody expects."""


class Worker:
    """The takeover by a worker that holds nothing yet; its supervisor has the same two sockets."""

    def __init__(self, root: Path) -> None:
        self.file = root / "endpoint"
        self.clock, self.cache = FakeClock(), Cache()
        self.warm_up = WarmUp(self.cache, self.clock)
        self.held = [socket.create_server(("127.0.0.1", 0)) for _ in (METADATA, CONTAINER)]
        metadata, container = (each.dup() for each in self.held)
        self.inherited = Inherited({METADATA: (metadata,), CONTAINER: (container,)})
        self.opened, self.bug = asyncio.Event(), asyncio.Event()

    @property
    def ports(self) -> list[int]:
        """The metadata endpoint's, and the container endpoint's."""
        return [each.getsockname()[1] for each in self.held]

    async def run(self) -> None:
        departure = Departure(timedelta(), self.clock, self.cache, lambda: True)
        takeover = Takeover(self.file, self.clock, lambda: departure.has_begun)
        loops = takeover.loops(
            self.warm_up,
            self.inherited,
            ContainerPart(
                SharedPort(self.inherited.sockets[CONTAINER], []), self._opening(), lambda: False
            ),
            self._probes,
        )
        await departure.run({**loops, "meet a bug": self._meet_bug()}, self)

    def sync(self, *known: Assignment) -> None:
        """Take in a snapshot with the pods that are *known*."""
        self.cache.begin()
        for update in (*map(AssignmentUpserted, known), SnapshotEnd()):
            self.cache.apply(update, self.clock.now())
            self.warm_up.update()

    def is_refused(self) -> bool:
        """Whether the kernel refuses who asks at the container endpoint."""
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.ports[1])) != 0

    @contextlib.asynccontextmanager
    async def _opening(self) -> AsyncGenerator[None]:
        self.opened.set()
        with self.inherited.sockets[CONTAINER][0]:
            yield

    @contextlib.asynccontextmanager
    async def _probes(self) -> AsyncGenerator[None]:
        yield

    async def _meet_bug(self) -> None:
        await self.bug.wait()
        raise BugError

    def leave(self) -> None:
        """Nobody asks."""

    async def finished(self) -> None:
        """Nobody is connected."""


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncGenerator[Worker]:
    worker = Worker(tmp_path)
    yield worker
    for each in (*worker.held, *worker.inherited.sockets[METADATA]):
        each.close()


@contextlib.asynccontextmanager
async def running(worker: Worker) -> AsyncGenerator["asyncio.Task[None]"]:
    task = asyncio.create_task(worker.run())
    yield task
    task.cancel()
    await asyncio.wait([task])


async def test_a_cold_agent_opens_once_it_is_warm(worker: Worker) -> None:
    """Pods are led to another agent, or to none of this pod: they meet no cold one."""
    endpoint_file.write(worker.file, worker.ports[0] - 1)
    async with asyncio.timeout(LIMIT), running(worker):
        await worker.clock.asleep()  # It says whether it is ready, and has come as far as it can.
        early = worker.opened.is_set()
        worker.sync()
        await worker.opened.wait()

    assert not early
    assert endpoint_file.read(worker.file) == worker.ports[0]


@pytest.mark.parametrize("reason", [Reason.CREDENTIALS_PENDING, Reason.STS_UNREACHABLE])
async def test_credentials_that_do_not_come_hold_it_up_for_half_a_minute(
    worker: Worker, reason: Reason
) -> None:
    """The other agent may have them still; it cannot be waited for longer."""
    worker.sync(pod("10.0.0.1", State.PENDING, reason))
    async with asyncio.timeout(LIMIT), running(worker):
        await worker.clock.asleep_until(START + HALF_A_MINUTE)
        early = worker.opened.is_set()
        worker.clock.advance(HALF_A_MINUTE)
        await worker.opened.wait()

    assert not early


async def test_an_agent_that_pods_are_led_to_opens_at_once(worker: Worker) -> None:
    """A worker before it has taken over: who asks is held, or told to ask again."""
    endpoint_file.write(worker.file, worker.ports[0])
    async with asyncio.timeout(LIMIT), running(worker):
        await worker.opened.wait()

    assert not worker.cache.synced


async def test_who_comes_after_a_bug_waits_for_the_next_worker(worker: Worker) -> None:
    """The sockets are the supervisor's, and stay open."""
    endpoint_file.write(worker.file, worker.ports[0])
    async with asyncio.timeout(LIMIT), running(worker) as task:
        await worker.opened.wait()
        worker.bug.set()
        with pytest.raises(ExceptionGroup, match="unhandled errors") as caught:
            await task

    assert caught.group_contains(BugError)
    assert not worker.is_refused()


async def test_who_comes_after_a_stop_is_the_other_agents(worker: Worker) -> None:
    """The supervisor has the sockets for a moment longer, and nobody is kept waiting there."""
    endpoint_file.write(worker.file, worker.ports[0])
    async with asyncio.timeout(LIMIT), running(worker) as task:
        await worker.opened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert worker.is_refused()
