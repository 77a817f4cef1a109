"""One server replica: a real broker, its watch, and the loop that calls STS for it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from fakes.engine import BASE, RecordingJournal
from rolecall_proto.values import Held, Hello, NodeName, PodUid, Update
from rolecall_server.credentials.rate_limiter import RateLimits
from rolecall_server.engine.broker import Broker
from rolecall_server.engine.rules import BrokerRules
from rolecall_server.model.authenticator import Agent
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import Issued, IssueError
from rolecall_server.model.pods import Namespace, Pod
from rolecall_server.model.source import (
    Change,
    NamespaceChanged,
    NamespaceGone,
    NamespacesListed,
    PodChanged,
    PodGone,
    PodsListed,
)
from rolecall_server.nodes.subscription import NodeSubscription
from rolecall_server.policy.policy import Policy
from rolecall_server.policy.rules import PolicySettings
from simulation.cluster import NAMESPACES, PODS, Api, Watch
from simulation.sts import Sts
from simulation.timeline import Timeline
from simulation.violations import NO_SPINNING, ViolationError

# How long a server and its stream take to pass on what the server knows, at most.
STREAM_LAG = 0.1


@dataclass(frozen=True, slots=True)
class Known:
    """A pod and its namespace as the watch has told one server; None: it was not told."""

    pod: Pod
    namespace: Namespace | None


View = Mapping[PodUid, Known]
Brokers = Callable[[random.Random], Broker]


class Link:
    """One stream: what the server says arrives in order, a little later, until it is cut."""

    def __init__(
        self,
        server: "Server",
        node: NodeName,
        hear: Callable[[Update], None],
        learn: Callable[[View, datetime], None],
    ) -> None:
        self.server = server
        self.node = node
        self.is_up = True
        self.learn = learn
        self._hear = hear
        self._timeline = server.timeline
        self._subscription: NodeSubscription | None = None
        self._taking = False
        self._last = self._timeline.now

    def open(self, broker: Broker, held: tuple[Held, ...]) -> None:
        hello = Hello("0.1.0", held)
        agent = Agent(self.node)
        self._subscription = broker.connect(agent, hello, self._wake, self._timeline.now)
        self._wake()

    def cut(self) -> None:
        """Nothing arrives from now on; the server notices some time later."""
        self.is_up = False
        self._timeline.between(0, 5, self._notice)

    def _notice(self) -> None:
        if self._subscription is not None and self.server.is_home_of(self):
            self.server.drop(self, self._subscription)

    def _wake(self) -> None:
        if not self._taking:
            self._taking = True
            self._timeline.between(0, STREAM_LAG / 4, self._take)

    def _take(self) -> None:
        self._taking = False
        if self._subscription is None or not self.is_up:
            return
        updates = self._subscription.take()
        arrival = self._timeline.now + timedelta(
            seconds=self._timeline.dice.uniform(0, STREAM_LAG / 2)
        )
        self._last = max(self._last, arrival)
        self._timeline.at(self._last, lambda: self._arrive(updates))

    def _arrive(self, updates: list[Update]) -> None:
        for update in updates:
            if self.is_up:
                self._hear(update)


class Server:
    """A replica that may die and come back, knowing nothing."""

    def __init__(
        self, number: int, timeline: Timeline, api: Api, sts: Sts, brokers: Brokers
    ) -> None:
        self.number = number
        self.timeline = timeline
        self.broker: Broker | None = None
        self.links: list[Link] = []
        self.life = number  # Distinguishes lives, across replicas.
        self._api = api
        self._sts = sts
        self._brokers = brokers
        self._watch: Watch | None = None
        self._pods: dict[PodUid, Pod] = {}
        self._namespaces: dict[str, Namespace] = {}
        self._awake = False
        self._ticks = 0

    @property
    def is_ready(self) -> bool:
        return self.broker is not None and self.broker.synced

    @property
    def watch(self) -> Watch | None:
        return self._watch

    def start(self) -> None:
        self.life += 1000
        self._pods, self._namespaces = {}, {}
        self.broker = self._brokers(random.Random(self.life))  # noqa: S311 (dice, not keys)
        self.broker.wake_issue_loop = self._wake
        self._watch = Watch(self._api, self.timeline, self._apply)
        self._api.watches.append(self._watch)
        self._watch.relist(PODS)
        self._watch.relist(NAMESPACES)

    def stop(self) -> None:
        if self._watch is not None:
            self._api.watches.remove(self._watch)
            self._watch.close()
        self.broker, self._watch, self._awake = None, None, False
        self._ticks += 1
        for link in self.links:
            link.is_up = False
        self.links = []

    def connect(self, link: Link, held: tuple[Held, ...]) -> None:
        if self.broker is not None:
            self.links.append(link)
            link.open(self.broker, held)
            link.learn(self.view(link.node), self._told_by())

    def drop(self, link: Link, connection: NodeSubscription) -> None:
        if self.broker is not None:
            self.links.remove(link)
            self.broker.disconnect(connection, self.timeline.now)

    def is_home_of(self, link: Link) -> bool:
        return link in self.links

    def view(self, node: NodeName) -> View:
        """Return what this server was told of the pods of *node*."""
        return {
            uid: Known(pod, self._namespaces.get(pod.namespace))
            for uid, pod in self._pods.items()
            if pod.node == node and not pod.finished
        }

    def settle(self) -> None:
        """Do what the broker says is due, where it has asked to be looked at."""
        if self._awake:
            self._pump()

    def _told_by(self) -> datetime:
        return self.timeline.now + timedelta(seconds=STREAM_LAG)

    def _wake(self) -> None:
        self._awake = True

    def _apply(self, change: Change) -> None:
        if self.broker is None:
            return
        self._note(change)
        self.broker.apply(change, self.timeline.now)
        for link in self.links:
            if link.is_up:
                link.learn(self.view(link.node), self._told_by())

    def _note(self, change: Change) -> None:
        match change:
            case PodsListed(pods):
                self._pods = {pod.uid: pod for pod in pods}
            case NamespacesListed(namespaces):
                self._namespaces = {each.name: each for each in namespaces}
            case PodChanged(pod):
                self._pods[pod.uid] = pod
            case PodGone(uid):
                self._pods.pop(uid, None)
            case NamespaceChanged(namespace):
                self._namespaces[namespace.name] = namespace
            case NamespaceGone(name):
                self._namespaces.pop(name, None)
            case _:
                raise NotImplementedError(change)

    def _pump(self) -> None:
        broker, now = self.broker, self.timeline.now
        if broker is None:
            return None
        for _ in range(10):
            self._awake = False
            for identity in broker.due(now):
                self._call(broker, identity)
            moment = broker.next_moment(now)
            if not self._awake and (moment is None or moment > now):
                return self._tick_at(moment)
        raise ViolationError(NO_SPINNING, f"server {self.number} at {now}")

    def _tick_at(self, moment: datetime | None) -> None:
        self._ticks += 1
        ticks = self._ticks
        if moment is not None:
            self.timeline.at(moment, lambda: self._pump() if ticks == self._ticks else None)

    def _call(self, broker: Broker, identity: Identity) -> None:
        def answer(result: Issued | IssueError) -> None:
            if broker is not self.broker:
                return  # That life is over.
            if isinstance(result, Issued):
                broker.issued(identity, result, self.timeline.now)
            else:
                broker.failed(identity, result, self.timeline.now)

        self._sts.call(self.life, identity, answer)


def sound_broker(dice: random.Random) -> Broker:
    """Return a broker as it is; tests of the simulation itself bring others."""
    rules = BrokerRules(token_secret=bytes(32), limits=RateLimits())
    return Broker(Policy(PolicySettings(base=BASE)), rules, dice, RecordingJournal())
