"""The agent, put together. Read this first: it shows who hands what to whom."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Collection, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from rolecall_agent.audit import Recorder
from rolecall_agent.cache import Cache
from rolecall_agent.channel import Access
from rolecall_agent.container import ContainerDoor, need_library
from rolecall_agent.descriptors import room_for
from rolecall_agent.door import Door, DoorRules
from rolecall_agent.follow import Follower
from rolecall_agent.hall import Hall
from rolecall_agent.handed import Handed
from rolecall_agent.handover import HandOver, Warmth, together
from rolecall_agent.imds import Imds
from rolecall_agent.listening import CONTAINER, METADATA
from rolecall_agent.metrics import AgentCollector
from rolecall_agent.node import Node
from rolecall_agent.settings import DoorSettings, Settings, Unwitnessed, WitnessSettings
from rolecall_agent.shelf import Shelf
from rolecall_agent.trust import Trust, TrustError
from rolecall_agent.turns import MOST_IN_ALL
from rolecall_agent.upstream import Upstream
from rolecall_agent.witness.watch import Witness, witnessing
from rolecall_common.audit import auditing
from rolecall_common.clock import Clock, SystemClock
from rolecall_common.forms import HostPort
from rolecall_common.lifecycle import StartError, refusing
from rolecall_common.metrics import Registry
from rolecall_common.probes import Readiness, probing
from rolecall_common.process import Process
from rolecall_common.pulse import Vital, feel
from rolecall_common.version import VERSION
from rolecall_proto.values import Address, SnapshotEnd, Update

log = logging.getLogger(__name__)


async def run(settings: Settings, handed: Handed) -> None:
    """Answer pods until cancelled. Raises StartError where the settings cannot be used."""
    clock, dice = SystemClock(), random.Random()  # noqa: S311 - only jitter
    async with AsyncExitStack() as stack:
        witness = _witness(settings.witness, clock, stack)
        cache = Cache(witness.holders if witness is not None else None)
        with refusing("auditFile", OSError):
            audit = stack.enter_context(auditing(settings.output.audit_file))
        with refusing("caFile", TrustError):
            trust = Trust(settings.server.ca_file, clock.now)
        recorder = Recorder(audit, cache, clock)
        warmth = Warmth(cache, clock, witness.settled if witness is not None else None)

        def taken_in(update: Update) -> None:
            if isinstance(update, SnapshotEnd):
                handed.prove()
            warmth.look()

        node = Node(cache, clock, taken_in, witness)
        follower = Follower(_access(settings), trust, node, clock, dice, witness)
        upstream = _upstream(settings.door, clock)
        rules = _rules(settings.door)
        door = Door(
            cache,
            clock,
            rules,
            on_unknown=follower.resolve,
            first_serve=recorder.first_serve,
        )
        node.wakes(door)
        _pass_on(upstream, door)
        registry, process = Registry(), Process(audit)
        process.register(registry)
        container = ContainerDoor(
            cache,
            clock,
            rules,
            on_unknown=follower.resolve,
            first_serve=recorder.first_serve,
            beside=door,
        )
        node.tells(container)
        _have_watched(witness, node, follower, door, container)
        registry.register(
            AgentCollector(
                door,
                cache,
                follower.statistics,
                trust,
                clock.now,
                container=container,
                witness=witness,
            )
        )

        def readiness() -> Readiness:
            connected = follower.statistics().connected
            return _readiness(settings.hand_over.warden_file, cache, connected=connected)

        await stack.enter_async_context(door.serving(handed.sockets[METADATA]))
        if handed.sockets[CONTAINER]:
            with refusing("containerListen", ImportError):
                need_library()
        opening = container.serving(handed.sockets[CONTAINER])
        probes = partial(probing, settings.output.admin_listen, readiness, registry)
        hand_over = _hand_over(settings, clock)
        if hand_over is None:
            await stack.enter_async_context(opening)
            with refusing("adminListen", OSError):
                await stack.enter_async_context(probes())
        _say_start(handed)
        loops = {
            "follow a server": follower.run(),
            "read the node's own metadata": upstream.run(),
            "load what verifies tokens": container.run(),
            "watch the loop": process.watch_loop(),
            **_loops(witness),
        }
        if hand_over is None:
            await together(loops)
        else:
            loops |= hand_over.loops(warmth, handed, opening, lambda: readiness().ready, probes)

            def finished() -> Awaitable[object]:
                return asyncio.gather(door.finished(), container.finished())

            await hand_over.run(loops, finished)


def _readiness(warden_file: Path | None, cache: Cache, *, connected: bool) -> Readiness:
    lines = []
    if not cache.synced:
        lines.append("not synced yet")
    elif not connected:
        lines.append("no server is connected; what is held is served")
    warden = feel(warden_file) if warden_file is not None else Vital(well=True)
    if not warden.well:
        lines.append(f"the warden: {warden.reason}")
    return Readiness(cache.synced and warden.well, tuple(lines))


def _witness(settings: WitnessSettings, clock: Clock, stack: AsyncExitStack) -> Witness | None:
    accept = settings.unwitnessed is Unwitnessed.SERVE
    try:
        return stack.enter_context(witnessing(settings.record_file, clock, accept=accept))
    except OSError as error:
        if not accept:
            raise StartError(f"unwitnessed: the kernel cannot be asked: {error}") from error
        log.warning("the kernel cannot be asked: no link is watched", extra={"reason": str(error)})
        return None


def _loops(witness: Witness | None) -> dict[str, Coroutine[Any, Any, None]]:
    return {} if witness is None else {"keep the record of bindings": witness.run()}


def _pass_on(upstream: Upstream, door: Door) -> None:
    door.offers(upstream.shelf, upstream.want)
    upstream.wakes(door.items_told)


def _rules(settings: DoorSettings) -> DoorRules:
    each = room_for(2 * MOST_IN_ALL) // 2  # There are two doors.
    return DoorRules(settings.allowed_hosts, settings.hold, each)


def _have_watched(witness: Witness | None, node: Node, follower: Follower, *doors: Hall) -> None:
    if witness is None:
        return
    node.doubts(follower.doubt)

    def moved(addresses: Collection[Address]) -> None:
        for door in doors:
            door.cut(addresses)

    witness.changed, witness.moved = node.vouched, moved
    for door in doors:
        door.watches(witness.glance, lambda: witness.needs_each)


def _say_start(handed: Handed) -> None:
    bound = (HostPort(*each.getsockname()[:2]) for each in handed.sockets[METADATA])
    log.info("answering pods", extra={"listen": list(map(str, bound)), "version": VERSION})
    if handed.deaths:
        ended = {"code": handed.last, "deaths": handed.deaths}
        log.warning("this worker takes the place of one that ended by itself", extra=ended)


def _hand_over(settings: Settings, clock: Clock) -> HandOver | None:
    path = settings.hand_over.door_file
    if path is None:
        return None
    with refusing("doorFile", OSError):
        return HandOver(path, clock)


def _upstream(settings: DoorSettings, clock: Clock) -> Upstream:
    return Upstream(Imds(settings.metadata_service, clock), Shelf(settings.offered), clock)


def _access(settings: Settings) -> Access:
    server = settings.server
    return Access(
        servers=tuple(str(each) for each in server.servers),
        token_file=server.token_file,
        server_name=server.server_name or "",
    )
