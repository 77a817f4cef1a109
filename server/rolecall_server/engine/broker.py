"""The engine: changes and a time go in; who may hold what, and what to ask STS, comes out."""

import random
from collections.abc import Callable
from datetime import datetime

from rolecall_proto.values import (
    Address,
    EndpointKeys,
    Hello,
    NodeName,
    PodTokenRules,
    PodUid,
    Resolution,
)
from rolecall_server.credentials.call_rates import CallRates
from rolecall_server.credentials.store import CredentialStore, SessionRules
from rolecall_server.engine.assignments import Assignments
from rolecall_server.engine.endpoint_keys import endpoint_keys
from rolecall_server.engine.index import Index
from rolecall_server.engine.reconciler import Reconciler
from rolecall_server.engine.rules import BrokerRules
from rolecall_server.engine.statistics import Statistics, statistics_of
from rolecall_server.model.authenticator import Agent
from rolecall_server.model.decisions import Entitled
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import Issued, IssueError
from rolecall_server.model.pods import Pod
from rolecall_server.model.source import Change
from rolecall_server.nodes.held_sessions import HeldSessions
from rolecall_server.nodes.subscription import NodeSubscription, Subscriber, Subscriptions
from rolecall_server.policy.policy import Policy
from rolecall_server.telemetry.journal import Journal


class Broker:
    """Knows every pod and decides; holds the sessions; knows what each connected node was sent.

    Pure and synchronous: no clock, no I/O. All times are aware and in UTC.
    """

    def __init__(
        self, policy: Policy, rules: BrokerRules, dice: random.Random, journal: Journal
    ) -> None:
        # Called when `due` or `next_moment` may say something new. Set by who runs the issue loop.
        self.wake_issue_loop: Callable[[], None] = lambda: None
        self._rules = rules
        self._pod_tokens: PodTokenRules | None = None
        self._index = Index()
        self._subscriptions: Subscriptions = {}
        self._store = CredentialStore(
            CallRates(rules.limits),
            SessionRules(rules.reported_early, allow_short=rules.allow_short_sessions),
            dice,
            journal,
            self._wake,
        )
        self._reconciler = Reconciler(
            policy, self._index, self._store, self._subscriptions, journal
        )
        self._assignments = Assignments(
            self._index, self._store, imdsv2_required=rules.imdsv2_required
        )

    @property
    def synced(self) -> bool:
        """Whether both pods and namespaces were listed once: before, no agent is let in."""
        return self._reconciler.synced

    @property
    def watch_fresh(self) -> bool:
        """Whether what is known of pods is up to date, as far as the source can tell."""
        return self._reconciler.watch_fresh

    def apply(self, change: Change, now: datetime) -> None:
        """Take in one change. Nothing that it carries can make this raise."""
        for step in self._reconciler.steps(change):
            try:
                step.apply(now)
            except Exception as error:  # noqa: BLE001 (see below, and test_boundaries.py)
                # One of the two boundaries: one strange object stops nothing. This object
                # is set aside, and if it is a pod it gets nothing; every other one is served on.
                self._reconciler.deny_for_bug(step, error, now)

    def pod(self, uid: PodUid) -> Pod | None:
        """Return a pod that is bound and not finished; None where the watch has shown no such."""
        entry = self._index.entry(uid)
        return entry.pod if entry is not None else None

    def without_address(self, node: NodeName) -> list[Pod]:
        """Return the pods of *node* of which the watch has not shown an address yet."""
        entries = self._index.on_node(node).values()
        return [entry.pod for entry in entries if not entry.pod.addresses]

    def addresses_of(self, node: NodeName, uid: PodUid) -> tuple[Address, ...] | None:
        """Return what a pod of *node* has, as the watch has shown; None where it is no such."""
        pod = self.pod(uid)
        if pod is None or pod.node != node:
            return None
        return () if pod.terminating else pod.addresses

    def runs(self, agent: Agent) -> bool:
        """Tell whether the agent's own pod is still there, on the node that it speaks for.

        A level: it becomes false as the watch shows that pod gone or moved, and every stream
        of its node is woken then. An agent that is no pod is always there.
        """
        if agent.pod_uid is None:
            return True
        entry = self._index.entry(agent.pod_uid)
        return entry is not None and entry.node == agent.node

    def connect(
        self, agent: Agent, hello: Hello, wake: Callable[[], None], now: datetime
    ) -> NodeSubscription:
        """Let *agent* in. *wake* is called when its subscription may have something to take.

        A node may have several at once, for instance while an agent is replaced. The snapshot is
        ready at once; *wake* is not called for it.
        """
        node = agent.node
        held, keys = HeldSessions(hello.held, now), self._keys_of(node)
        subscriber = Subscriber(node, hello.version, held, keys, agent.pod_uid)
        subscription = NodeSubscription(subscriber, wake, self._assignments)
        self._subscriptions.setdefault(node, []).append(subscription)
        for entry in self._index.on_node(node).values():
            if isinstance(entry.decision, Entitled):
                self._store.need(entry.decision.identity, entry.pod, subscription, now, new=False)
            self._reconciler.reporter.report(entry)
        return subscription

    def check_pod_tokens(self, rules: PodTokenRules) -> None:
        """Have the tokens of pods checked by *rules* from now on, at every node that is here."""
        self._pod_tokens = rules
        for node, subscriptions in self._subscriptions.items():
            for subscription in subscriptions:
                subscription.change_keys(self._keys_of(node))

    def disconnect(self, subscription: NodeSubscription, now: datetime) -> None:
        """Forget *subscription*; its `take` returns nothing from now on. Twice is as once."""
        subscriptions = self._subscriptions.get(subscription.node, [])
        if subscription not in subscriptions:
            return
        subscriptions.remove(subscription)
        if not subscriptions:
            del self._subscriptions[subscription.node]
        self._store.release_all(subscription, now)
        subscription.close()

    def resolve(self, node: NodeName, address: Address, now: datetime) -> Resolution:
        """Tell whether a pod of *node* has *address*; its identity becomes the most urgent one."""
        entries = self._index.at(node, address)
        for entry in entries:
            if isinstance(entry.decision, Entitled):
                self._store.prioritise(entry.decision.identity.session_id, now)
        return Resolution.KNOWN if entries else Resolution.UNKNOWN

    def due(self, now: datetime) -> list[Identity]:
        """Take what may be issued now, the most urgent first, as fast as STS may be asked.

        Each stays in flight until `issued` or `failed` is called for it, exactly once.
        """
        return self._store.planner.due(now)

    def next_moment(self, now: datetime) -> datetime | None:
        """Return when `due` is to be called next, *now* at the earliest; None: when woken."""
        return self._store.planner.next_moment(now)

    def issued(self, identity: Identity, issued: Issued, now: datetime) -> None:
        """Take in what STS gave for *identity*, which was in flight."""
        self._store.issued(identity, issued, now)
        self._report_users(identity)

    def failed(self, identity: Identity, error: IssueError, now: datetime) -> None:
        """Take in that STS gave nothing for *identity*, which was in flight."""
        self._store.failed(identity, error, now)
        self._report_users(identity)

    def statistics(self, now: datetime) -> Statistics:
        """Return how things stand; costs time in proportion to identities, not to pods."""
        return statistics_of(self._index, self._store, self._subscriptions, self._reconciler, now)

    def _wake(self) -> None:
        self.wake_issue_loop()

    def _report_users(self, identity: Identity) -> None:
        for uid in self._store.users(identity.session_id):
            if (entry := self._index.entry(uid)) is not None:
                self._reconciler.reporter.report(entry)

    def _keys_of(self, node: NodeName) -> EndpointKeys:
        return endpoint_keys(node, self._rules, self._pod_tokens)
