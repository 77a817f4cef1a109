"""The agent, put together. Read this first: it shows who hands what to whom."""

import logging
import random
from collections.abc import Collection, Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from rolecall_agent.audit import AUDIT_ROOM, Recorder
from rolecall_agent.container.endpoint import ContainerEndpoint, need_library
from rolecall_agent.http.connection_limits import MOST_IN_ALL
from rolecall_agent.http.server import Server
from rolecall_agent.http.server_state import ServerRules
from rolecall_agent.metadata.endpoint import MetadataEndpoint
from rolecall_agent.metadata.imds_client import ImdsClient
from rolecall_agent.metadata.item_cache import ItemCache
from rolecall_agent.metadata.item_fetcher import ItemFetcher
from rolecall_agent.metrics import AgentCollector
from rolecall_agent.process import memory
from rolecall_agent.process.departure import Departure
from rolecall_agent.process.file_limit import room_for
from rolecall_agent.process.inherited import Inherited
from rolecall_agent.process.shared_port import SharedPort
from rolecall_agent.process.signs_of_life import show_life
from rolecall_agent.process.sockets import CONTAINER, METADATA, addresses_of
from rolecall_agent.process.takeover import DRAIN, ContainerPart, Served, Takeover, WarmUp
from rolecall_agent.settings import (
    EndpointSettings,
    ServerSettings,
    Settings,
    Unwitnessed,
    WitnessSettings,
)
from rolecall_agent.store.cache import Cache
from rolecall_agent.sync.ca_bundle import CaBundleError, CaBundleFile
from rolecall_agent.sync.channel import Access
from rolecall_agent.sync.resolver import NoLiveReads, Resolver
from rolecall_agent.sync.stream import StreamClient
from rolecall_agent.sync.updates import UpdateHandler
from rolecall_agent.witness.service import Witness, witnessing
from rolecall_common import heartbeat_file, logs
from rolecall_common.admin_http import Readiness, serving_admin
from rolecall_common.audit import auditing
from rolecall_common.callbacks import Bugs
from rolecall_common.clock import Clock, SystemClock
from rolecall_common.heartbeat_file import Condition, Health, HeldError
from rolecall_common.lifecycle import StartError, refusing
from rolecall_common.process_metrics import ProcessMetrics
from rolecall_common.settings.types import HostPort
from rolecall_common.version import VERSION
from rolecall_proto.values import Address, SnapshotEnd, Update

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Endpoints:
    """Where pods ask, and what is asked for them."""

    metadata: MetadataEndpoint
    container: ContainerEndpoint
    item_fetcher: ItemFetcher
    metadata_server: Server
    container_server: Server

    @property
    def servers(self) -> tuple[Server, Server]:
        return self.metadata_server, self.container_server


@dataclass(frozen=True, slots=True)
class _Parts:
    """What an agent is made of. Each was made of those above it."""

    settings: Settings
    clock: Clock
    process: ProcessMetrics
    ca_bundle: CaBundleFile
    witness: Witness | None
    cache: Cache
    warm_up: WarmUp
    endpoints: _Endpoints
    stream: StreamClient
    departure: Departure
    inherited: Inherited

    def readiness(self) -> Readiness:
        connected = self.stream.statistics().connected
        warden_file = self.settings.takeover.warden_file
        readiness = _readiness(warden_file, self.cache, self.inherited, connected=connected)
        return self.departure.readiness(readiness)

    def leave(self) -> None:
        """Have each answer from now on be the last of its connection."""
        for server in self.endpoints.servers:
            server.leave()

    async def finished(self) -> None:
        """Wait until no client is connected."""
        for server in self.endpoints.servers:
            await server.finished()


async def run(settings: Settings, inherited: Inherited, bugs: Bugs) -> None:
    """Answer pods until cancelled, or until one of *bugs*.

    Raises StartError where the settings cannot be used, and MemoryLimitError, in a group, where
    another worker is to take this one's place.
    """
    async with AsyncExitStack() as stack:
        parts = _parts(settings, inherited, SystemClock(), stack)
        takeover = _takeover(settings, parts)

        def readiness() -> Readiness:
            now = parts.readiness()
            return now if takeover is None else takeover.readiness(now)

        probes = partial(serving_admin, settings.output.admin_listen, readiness, _registry(parts))
        await stack.enter_async_context(
            parts.endpoints.metadata_server.serving(inherited.sockets[METADATA])
        )
        if inherited.sockets[CONTAINER]:
            with refusing("containerListen", ImportError):
                need_library()
        opening = parts.endpoints.container_server.serving(inherited.sockets[CONTAINER])
        loops = _loops(parts)
        cgroup = memory.own_cgroup()
        if cgroup is not None:
            look = partial(memory.read, cgroup)
            loops["leave before memory ends"] = memory.leave_when_short(parts.clock, look)
        if settings.output.health_file is not None:
            with refusing("healthFile", OSError, HeldError):
                file = stack.enter_context(heartbeat_file.hold(settings.output.health_file))
            loops["show signs of life"] = show_life(file, parts.clock, readiness)
        if takeover is None:
            await stack.enter_async_context(opening)
            with refusing("adminListen", OSError):
                await stack.enter_async_context(probes())
        inherited.report_begun()
        _say_start(inherited)
        # To be cancelled is to be told to end, and an agent that was told lets its pods finish.
        loops["end at a bug in a callback"] = bugs.raised()
        if takeover is None:
            await parts.departure.run(loops, parts)
        else:
            container = _container_part(settings, inherited, opening)
            loops |= takeover.loops(parts.warm_up, inherited, container, probes)
            await parts.departure.run(loops, parts, DRAIN)


def _parts(settings: Settings, inherited: Inherited, clock: Clock, stack: AsyncExitStack) -> _Parts:
    witness = _witness(settings.witness, clock, stack)
    cache = Cache(witness.holders, witness.node_addresses) if witness is not None else Cache()
    with refusing("auditFile", OSError):
        audit = stack.enter_context(auditing(settings.output.audit_file, clock.now, AUDIT_ROOM))
    with refusing("caFile", CaBundleError):
        ca_bundle = CaBundleFile(settings.server.ca_file, clock.now)
    access = _access(settings.server)
    resolver = Resolver(access, clock, witness if witness is not None else NoLiveReads())
    recorder = Recorder(audit, cache, clock)
    endpoints = _endpoints(settings.endpoint, cache, clock, resolver, recorder)
    warm_up = WarmUp(cache, clock, witness.wait_settled if witness is not None else None)

    def taken_in(update: Update) -> None:
        endpoints.container.wake(update)
        if isinstance(update, SnapshotEnd):
            inherited.report_synced()
        warm_up.update()

    updates = UpdateHandler(
        cache, clock, endpoints.metadata, resolver.invalidate, taken_in, witness
    )
    if witness is not None:
        _have_watched(witness, updates, endpoints.servers)
    dice = random.Random()  # noqa: S311 - only jitter
    stream = StreamClient(access, ca_bundle, updates, clock, dice, resolver)
    process = ProcessMetrics(audit, logs.lost)
    superseded = partial(_is_superseded, settings.takeover.warden_file)
    departure = Departure(settings.takeover.grace_period, clock, cache, superseded)
    return _Parts(
        settings,
        clock,
        process,
        ca_bundle,
        witness,
        cache,
        warm_up,
        endpoints,
        stream,
        departure,
        inherited,
    )


def _endpoints(
    settings: EndpointSettings, cache: Cache, clock: Clock, resolver: Resolver, recorder: Recorder
) -> _Endpoints:
    metadata = MetadataEndpoint(cache, resolver.enqueue)
    container = ContainerEndpoint(cache, clock, resolver.enqueue, beside=metadata.counters)
    items = ItemCache(settings.offered)
    item_fetcher = ItemFetcher(ImdsClient(settings.metadata_service, clock), items, clock)
    metadata.offers(items, item_fetcher.want)
    item_fetcher.wakes(metadata.items_changed)
    each = room_for(2 * MOST_IN_ALL) // 2  # There are two endpoints.
    rules = ServerRules(
        settings.allowed_hosts, settings.hold, settings.patient_answers, connections=each
    )
    return _Endpoints(
        metadata,
        container,
        item_fetcher,
        Server(metadata, cache, clock, rules, first_serve=recorder.first_serve),
        Server(container, cache, clock, rules, first_serve=recorder.first_serve),
    )


def _have_watched(witness: Witness, updates: UpdateHandler, servers: Iterable[Server]) -> None:
    def moved(addresses: Collection[Address]) -> None:
        for server in servers:
            server.cut(addresses)

    witness.changed, witness.moved = updates.holders_changed, moved
    for server in servers:
        server.watches(witness.poll, lambda: witness.checks_each_request)


def _registry(parts: _Parts) -> CollectorRegistry:
    registry = CollectorRegistry()
    parts.process.register(registry)
    registry.register(
        AgentCollector(
            parts.endpoints.servers,
            parts.endpoints.item_fetcher.cache,
            parts.cache,
            parts.stream.statistics,
            parts.ca_bundle,
            parts.clock.now,
            witness=parts.witness,
            warden_file=parts.settings.takeover.warden_file,
            deaths=parts.inherited.deaths,
        )
    )
    return registry


def _loops(parts: _Parts) -> dict[str, Coroutine[Any, Any, None]]:
    loops: dict[str, Coroutine[Any, Any, None]] = {
        "follow a server": parts.stream.run(),
        "read the node's own metadata": parts.endpoints.item_fetcher.run(),
        "load what verifies tokens": parts.endpoints.container.run(),
        "measure the loop": parts.process.measure_loop(),
    }
    if parts.witness is not None:
        loops["run the witness"] = parts.witness.run()
    return loops


def _readiness(
    warden_file: Path | None, cache: Cache, inherited: Inherited, *, connected: bool
) -> Readiness:
    lines = []
    if not cache.synced:
        lines.append("not synced yet")
    elif not connected:
        lines.append("no server is connected; what is held is served")
    warden = heartbeat_file.read(warden_file) if warden_file is not None else Health(ok=True)
    if not warden.ok:
        lines.append(f"the warden: {warden.reason}")
    if inherited.restarts:
        last = f"the last one with {inherited.last_exit}"
        lines.append(f"workers that have ended by themselves: {inherited.restarts}, {last}")
    return Readiness(cache.synced and warden.ok, tuple(lines))


def _witness(settings: WitnessSettings, clock: Clock, stack: AsyncExitStack) -> Witness | None:
    accept = settings.unwitnessed is Unwitnessed.SERVE
    try:
        return stack.enter_context(witnessing(settings.state_file, clock, accept=accept))
    except OSError as error:
        if not accept:
            raise StartError(f"unwitnessed: the kernel cannot be asked: {error}") from error
        log.warning("the kernel cannot be asked: no link is watched", extra={"reason": str(error)})
        return None


def _say_start(inherited: Inherited) -> None:
    bound = (HostPort(*each.getsockname()[:2]) for each in inherited.sockets[METADATA])
    log.info("answering pods", extra={"listen": list(map(str, bound)), "version": VERSION})
    if inherited.restarts:
        ended = {"code": inherited.last_exit, "restarts": inherited.restarts}
        log.warning("this worker takes the place of one that ended by itself", extra=ended)


def _takeover(settings: Settings, parts: _Parts) -> Takeover | None:
    path = settings.takeover.endpoint_file
    if path is None:
        return None
    with refusing("endpointFile", OSError):
        return Takeover(path, parts.clock, lambda: parts.departure.has_begun)


def _container_part(settings: Settings, inherited: Inherited, opening: Served) -> ContainerPart:
    with refusing("containerListen", OSError):
        addresses = [
            address
            for each in settings.container.container_listen
            for address in addresses_of(each.host, each.port)
        ]
    superseded = partial(_is_superseded, settings.takeover.warden_file)
    return ContainerPart(SharedPort(inherited.sockets[CONTAINER], addresses), opening, superseded)


def _is_superseded(warden_file: Path | None) -> bool:
    """Whether another agent's warden has the node's rules, by what our own has said last."""
    warden = heartbeat_file.read(warden_file).heartbeat if warden_file is not None else None
    return warden is not None and warden.condition is Condition.SUPERSEDED


def _access(settings: ServerSettings) -> Access:
    return Access(
        servers=tuple(str(each) for each in settings.servers),
        token_file=settings.token_file,
        server_name=settings.server_name or "",
    )
