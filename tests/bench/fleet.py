"""Many agents in one process, without endpoints: each follows a server and holds what it is told.

How they reconnect, and what they claim to hold, is the agent's own code.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

from bench.ground import Ground
from cluster.serving import AUDIENCE, SPACE
from rolecall_agent.store.cache import Cache
from rolecall_agent.sync.ca_bundle import CaBundleFile
from rolecall_agent.sync.channel import Access
from rolecall_agent.sync.resolver import NoLiveReads, Resolver
from rolecall_agent.sync.stream import StreamClient
from rolecall_common.clock import Clock, SystemClock
from rolecall_common.version import VERSION
from rolecall_proto.values import (
    AssignmentUpserted,
    Hello,
    PodRemoved,
    PodUid,
    SnapshotEnd,
    State,
    Update,
)
from testcluster.client import Client, Manifest

_ACCOUNT = "rolecall-agent"
_LABELS = {"app.kubernetes.io/component": "agent"}
_AT_ONCE = 24
_PATIENCE = 120.0  # seconds


class Member:
    """One agent's ears. `in_since` is when the last snapshot was whole (`time.perf_counter`)."""

    def __init__(self, clock: Clock, moved: asyncio.Event) -> None:
        self.in_since = 0.0
        self.pending: set[PodUid] = set()
        self.granted: set[PodUid] = set()
        self._cache = Cache()
        self._clock = clock
        self._moved = moved

    def hello(self) -> Hello:
        return Hello(VERSION, self._cache.held(self._clock.now()))

    def begin(self) -> None:
        self.in_since = 0.0
        self.pending.clear()
        self.granted.clear()
        self._cache.begin()

    def apply(self, update: Update) -> None:
        self._cache.apply(update, self._clock.now())
        match update:
            case AssignmentUpserted(assignment):
                uid, state = assignment.uid, assignment.state
                (self.pending.add if state is State.PENDING else self.pending.discard)(uid)
                (self.granted.add if state is State.GRANTED else self.granted.discard)(uid)
            case PodRemoved(uid):
                self.pending.discard(uid)
                self.granted.discard(uid)
            case SnapshotEnd():
                self.in_since = time.perf_counter()
            case _:
                return
        self._moved.set()


class Fleet:
    """All members, and what is waited for of them."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.moved = asyncio.Event()

    async def all_in(self, since: float) -> float:
        """Return when the last member had its snapshot, each one after *since*."""
        await self._until(lambda: all(each.in_since > since for each in self.members))
        return max(each.in_since for each in self.members)

    async def all_settled(self) -> None:
        """Return once no pod of any member waits for anything."""
        await self._until(lambda: all(m.in_since and not m.pending for m in self.members))

    async def _until(self, holds: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                while not holds():
                    self.moved.clear()
                    await self.moved.wait()
        except TimeoutError:
            away = sum(not each.in_since for each in self.members)
            waiting = sum(len(each.pending) for each in self.members)
            raise RuntimeError(f"{away} agents are away, {waiting} pods wait") from None


@contextlib.asynccontextmanager
async def fleet(
    ground: Ground, nodes: Sequence[str], servers: tuple[str, ...] = ("server",)
) -> AsyncGenerator[Fleet]:
    """Let the agents of *nodes*, whose pods and tokens are there, follow until the block ends."""
    # That a server is away is what happens here, and not news.
    logging.getLogger("rolecall_agent").setLevel(logging.ERROR)
    clock, found = SystemClock(), Fleet()
    ca_bundle_file = CaBundleFile(ground.directory / "ca.crt", clock.now)
    async with asyncio.TaskGroup() as tasks:
        running = []
        for node in nodes:
            member = Member(clock, found.moved)
            dice = random.Random(node)  # noqa: S311 - only jitter
            access = _access(ground, node, servers)
            resolver = Resolver(access, clock, NoLiveReads())
            follower = StreamClient(access, ca_bundle_file, member, clock, dice, resolver)
            found.members.append(member)
            running.append(tasks.create_task(follower.run(), name=f"be the agent of {node}"))
        yield found
        for task in running:
            task.cancel()


def _access(ground: Ground, node: str, servers: tuple[str, ...]) -> Access:
    return Access(
        servers=tuple(f"127.0.0.1:{ground.at.port(each)}" for each in servers),
        token_file=token_file(ground, node),
        server_name=f"rolecall-server.{SPACE}.svc",
    )


def token_file(ground: Ground, node: str) -> Path:
    return ground.directory / f"{node}-token"


async def enlist(ground: Ground, nodes: Sequence[str]) -> None:
    """Make the agent's pod of each of *nodes*, and fetch its token, bound to it."""

    async def some(mine: Sequence[str]) -> None:
        for node in mine:
            pod = await _agent_pod(ground.at.admin, node)
            token = await ground.at.admin.token(_ACCOUNT, SPACE, AUDIENCE, pod=pod)
            token_file(ground, node).write_text(token)

    async with asyncio.TaskGroup() as tasks:
        for start in range(_AT_ONCE):
            tasks.create_task(some(nodes[start::_AT_ONCE]), name=f"enlist agents {start}")


async def _agent_pod(admin: Client, node: str) -> Manifest:
    name = f"rolecall-agent-{node}"
    metadata = {"name": name, "namespace": SPACE, "labels": _LABELS}
    spec = {
        "nodeName": node,
        "serviceAccountName": _ACCOUNT,
        "hostNetwork": True,
        "containers": [{"name": "agent", "image": "rolecall-agent"}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    await admin.create(pod)
    status = {"phase": "Running", "podIP": "172.16.0.1", "podIPs": [{"ip": "172.16.0.1"}]}
    return await admin.patch("Pod", name, {"status": status}, SPACE, subresource="status")
