"""What is behind a server: a Kubernetes cluster, or a directory of manifests in place of one."""

import asyncio
import math
import random
import socket
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

from rolecall_common.clock import Clock
from rolecall_proto.values import PodTokenRules
from rolecall_server.engine.broker import Broker
from rolecall_server.kube.api import Api
from rolecall_server.kube.auth.authenticator import TokenReviewAuthenticator
from rolecall_server.kube.auth.jwks import KeySet, SigningKeys
from rolecall_server.kube.auth.token_claims import AgentRules
from rolecall_server.kube.events.recorder import EventRecorder, Reporter
from rolecall_server.kube.guard import GuardState, NodeGuard
from rolecall_server.kube.informer import resources
from rolecall_server.kube.informer.live_reads import LiveReads
from rolecall_server.kube.informer.reflector import Reflector
from rolecall_server.manifests.placement import Pools
from rolecall_server.manifests.source import ManifestSource
from rolecall_server.model.authenticator import Authenticator, LoopbackAuthenticator
from rolecall_server.model.pods import Pod
from rolecall_server.model.source import PodChanged, Source
from rolecall_server.rpc.resolving import PodReader
from rolecall_server.settings import Settings
from rolecall_server.settings.listening import AuthenticationMode
from rolecall_server.startup import from_settings
from rolecall_server.telemetry.journal import Journal
from rolecall_server.telemetry.metrics import Metrics

_GUARD = {GuardState.IN_PLACE: 1.0, GuardState.MISSING: 0.0, GuardState.UNKNOWN: math.nan}


@dataclass(frozen=True, slots=True)
class SourceLevels:
    """How the sources are doing; for metrics. What a source does not have stays as it is here."""

    manifest_problems: int = 0
    listings: Mapping[tuple[str, ...], float] = field(default_factory=dict)  # Resource and how.
    interruptions: Mapping[tuple[str, ...], float] = field(default_factory=dict)  # By kind.
    node_guard: float = math.nan


@dataclass(frozen=True, slots=True)
class Attached:
    """What can be made only once there is a broker."""

    authenticator: Authenticator
    pod_reader: PodReader | None
    run: Callable[[], Coroutine[Any, Any, None]]


class Backend(Protocol):
    """Where pods come from, who authenticates agents, and who hears of pods without a role."""

    sources: tuple[Source, ...]
    journals: tuple[Journal, ...]

    def attach(self, broker: Broker) -> Attached:
        """Make what asks *broker*; once."""
        ...

    def levels(self) -> SourceLevels: ...


class ManifestBackend:
    """A directory of manifests. Agents are taken at their word, and so on loopback only."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Raise ValueError where there is no directory, or agents could come from elsewhere."""
        sources = settings.sources
        if sources.manifests is None:
            raise ValueError("manifests: no directory is named")
        pools, keys = Pools(sources.manifest_nodes), from_settings.annotation_keys(settings)
        self._source = ManifestSource(sources.manifests, pools, keys, clock)
        self._authenticator = LoopbackAuthenticator(settings.listening.listen.host)
        self.sources: tuple[Source, ...] = (self._source,)
        self.journals: tuple[Journal, ...] = ()

    def attach(self, broker: Broker) -> Attached:  # noqa: ARG002 - nothing here asks it
        return Attached(self._authenticator, None, _no_tasks)

    def levels(self) -> SourceLevels:
        return SourceLevels(manifest_problems=len(self._source.statistics.problems))


class ClusterBackend:
    """A Kubernetes cluster."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it is made of
        self,
        settings: Settings,
        agent_namespace: str,
        api: Api,
        clock: Clock,
        dice: random.Random,
        metrics: Metrics,
    ) -> None:
        keys, kubernetes = from_settings.annotation_keys(settings), settings.kubernetes
        self._settings = settings
        self._rules = AgentRules(
            agent_namespace, kubernetes.agent_service_account, kubernetes.agent_audience
        )
        self._api, self._clock, self._dice, self._metrics = api, clock, dice, metrics
        self._pods = resources.pods(keys)
        self._reflectors = (
            Reflector(self._pods, api, clock, dice),
            Reflector(resources.namespaces(keys), api, clock, dice),
        )
        self._guard = NodeGuard(api, kubernetes.node_guard, keys, clock, dice)
        reporter = Reporter(socket.gethostname(), kubernetes.event_reasons)
        self._events = EventRecorder(api, reporter, clock, dice, metrics)
        self.sources: tuple[Source, ...] = self._reflectors
        self.journals: tuple[Journal, ...] = (self._events,) if kubernetes.events else ()

    def attach(self, broker: Broker) -> Attached:
        def found(pod: Pod) -> None:
            broker.apply(PodChanged(pod), self._clock.now())

        live_reads = LiveReads(self._api, self._pods, broker, found, self._clock)
        keys = self._signing_keys(broker)
        if self._settings.authentication is AuthenticationMode.LOOPBACK:
            loopback = LoopbackAuthenticator(self._settings.listening.listen.host)
            return Attached(loopback, live_reads, lambda: self._run(keys.run()))
        authenticator = TokenReviewAuthenticator(
            self._api,
            self._clock,
            self._rules,
            broker.pod,
            self._metrics,
            keys=keys,
            dice=self._dice,
        )
        return Attached(authenticator, live_reads, lambda: self._run(authenticator.run()))

    def levels(self) -> SourceLevels:
        all_of = [(each.name, each.statistics) for each in self._reflectors]
        return SourceLevels(
            listings={(name, how): n for name, one in all_of for how, n in one.listings.items()},
            interruptions={(name,): one.failures for name, one in all_of},
            node_guard=_GUARD[self._guard.finding.state],
        )

    def _signing_keys(self, broker: Broker) -> SigningKeys:
        """Return the keeper of the cluster's keys, which has agents told of each change."""
        audiences = self._settings.kubernetes.container_audience

        def changed(keys: KeySet) -> None:
            broker.check_pod_tokens(PodTokenRules(keys.issuer, audiences, keys.texts))

        audience = self._rules.audience
        return SigningKeys(
            self._api, audience, self._clock, self._metrics, self._dice, changed=changed
        )

    async def _run(self, keys: Coroutine[Any, Any, NoReturn]) -> NoReturn:
        """Run what a cluster needs; *keys* keeps its keys, and reviews tokens where need be."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._guard.run(), name="check the node guard")
            if self.journals:
                tasks.create_task(self._events.run(), name="write Events")
            tasks.create_task(keys, name="review tokens and keep their keys")
        raise AssertionError("what runs above has no end")


async def _no_tasks() -> None:
    """Nothing has to run for a directory besides its source."""
