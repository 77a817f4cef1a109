"""The engine: changes and a time go in; who may hold what, and what to ask STS, comes out."""

import hashlib
import hmac
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rolecall_common.secret import NotPickled
from rolecall_proto.values import (
    Address,
    EndpointKeys,
    Hello,
    NodeName,
    PodTokenRules,
    PodUid,
    Resolution,
)
from rolecall_server.credentials.rate_limiter import Budget, BudgetRules
from rolecall_server.credentials.store import Stock
from rolecall_server.engine.assignments import Assignments
from rolecall_server.engine.index import Index
from rolecall_server.engine.reconciler import Register
from rolecall_server.engine.statistics import (
    Statistics,
    by_version,
    count_overdue,
    first_end,
    pods_by_state,
)
from rolecall_server.model.authenticator import Agent
from rolecall_server.model.decisions import Entitled
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import Issued, IssueError
from rolecall_server.model.pods import Pod
from rolecall_server.model.source import Change
from rolecall_server.nodes.held_sessions import Claims
from rolecall_server.nodes.subscription import Connection, Opening
from rolecall_server.policy.policy import Policy
from rolecall_server.telemetry.journal import Journal


@dataclass(frozen=True, slots=True)
class BrokerRules(NotPickled):
    """What the broker is told at start; it checks nothing of it, the settings do."""

    # At least 32 random bytes that all replicas share; each node's token key is derived from it.
    token_secret: bytes = field(repr=False)
    base_arn: str = ""
    imdsv2_required: bool = False  # Where the namespace does not say.
    # How long before the true end pods are told that credentials end (contract §5).
    reported_early: timedelta = timedelta(minutes=5)
    budget: BudgetRules = field(default_factory=BudgetRules)


class Broker:
    """Knows every pod and decides; holds the sessions; knows what each connected node was told.

    Pure and synchronous: no clock, no I/O. All times are aware and in UTC.
    """

    def __init__(
        self, policy: Policy, rules: BrokerRules, dice: random.Random, journal: Journal
    ) -> None:
        # Called when `due` or `next_moment` may say something new. Set by who runs the schedule.
        self.wake_scheduler: Callable[[], None] = lambda: None
        self._rules = rules
        self._pod_tokens: PodTokenRules | None = None
        self._index = Index()
        self._stock = Stock(Budget(rules.budget), rules.reported_early, dice, journal, self._wake)
        self._register = Register(policy, self._index, self._stock, journal)
        self._assignments = Assignments(
            self._index, self._stock, imdsv2_required=rules.imdsv2_required
        )
        self._bugs = 0

    @property
    def synced(self) -> bool:
        """Whether both pods and namespaces were listed once: before, no agent is let in."""
        return self._register.pods_listed and self._register.namespaces_listed

    @property
    def watch_fresh(self) -> bool:
        """Whether what is known of pods is up to date, as far as the source can tell."""
        return self._register.watch_fresh

    def apply(self, change: Change, now: datetime) -> None:
        """Take in one change. Nothing that it carries can make this raise."""
        for part in self._register.parts(change):
            try:
                part.act(now)
            except Exception as error:  # noqa: BLE001 (see below, and test_boundaries.py)
                # One of the two boundaries: one strange object stops nothing. This object
                # is set aside, and if it is a pod it gets nothing; every other one is served on.
                self._bugs += 1
                self._register.deny_for_bug(part, error, now)

    def pod(self, uid: PodUid) -> Pod | None:
        """Return a pod that is bound and not finished; None where the watch has shown no such."""
        entry = self._index.entry(uid)
        return entry.pod if entry is not None else None

    def without_address(self, node: NodeName) -> list[Pod]:
        """Return the pods of *node* of which the watch has not told an address yet."""
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

        A level: it becomes false as the watch shows that pod gone or moved, and every connection
        of its node is woken then. An agent that is no pod is always there.
        """
        if agent.pod_uid is None:
            return True
        entry = self._index.entry(agent.pod_uid)
        return entry is not None and entry.node == agent.node

    def connect(
        self, agent: Agent, hello: Hello, wake: Callable[[], None], now: datetime
    ) -> Connection:
        """Let *agent* in. *wake* is called when its connection may have something to take.

        A node may have several connections at once, for instance while an agent is replaced. The
        snapshot is ready at once; *wake* is not called for it.
        """
        node = agent.node
        claims, keys = Claims(hello.held, now), self._keys_of(node)
        opening = Opening(node, hello.version, claims, keys, agent.pod_uid)
        connection = Connection(opening, wake, self._assignments)
        self._register.connections.setdefault(node, []).append(connection)
        for uid, entry in self._index.on_node(node).items():
            if isinstance(entry.decision, Entitled):
                self._stock.need(entry.decision.identity, uid, connection, now, new=False)
            self._register.report(entry)
        return connection

    def check_pod_tokens(self, rules: PodTokenRules) -> None:
        """Have the tokens of pods checked by *rules* from now on, at every node that is here."""
        self._pod_tokens = rules
        for node, connections in self._register.connections.items():
            for connection in connections:
                connection.change_keys(self._keys_of(node))

    def disconnect(self, connection: Connection, now: datetime) -> None:
        """Forget *connection*; its `take` returns nothing from now on. Twice is as once."""
        connections = self._register.connections.get(connection.node, [])
        if connection not in connections:
            return
        connections.remove(connection)
        if not connections:
            del self._register.connections[connection.node]
        self._stock.release_all(connection, now)
        connection.close()

    def resolve(self, node: NodeName, address: Address, now: datetime) -> Resolution:
        """Tell whether a pod of *node* has *address*; its identity becomes the most urgent one."""
        entries = self._index.at(node, address)
        for entry in entries:
            if isinstance(entry.decision, Entitled):
                self._stock.hasten(entry.decision.identity.session_id, now)
        return Resolution.KNOWN if entries else Resolution.UNKNOWN

    def due(self, now: datetime) -> list[Identity]:
        """Take what may be issued now, the most urgent first, within the budget.

        Each stays in flight until `issued` or `failed` is called for it, exactly once.
        """
        return self._stock.due(now)

    def next_moment(self, now: datetime) -> datetime | None:
        """Return when `due` is to be called next, *now* at the earliest; None: when woken."""
        return self._stock.next_moment(now)

    def issued(self, identity: Identity, issued: Issued, now: datetime) -> None:
        """Take in what STS gave for *identity*, which was in flight."""
        self._stock.issued(identity, issued, now)
        self._report_users(identity)

    def failed(self, identity: Identity, error: IssueError, now: datetime) -> None:
        """Take in that STS gave nothing for *identity*, which was in flight."""
        self._stock.failed(identity, error, now)
        self._report_users(identity)

    def statistics(self, now: datetime) -> Statistics:
        """Return how things stand; costs time in proportion to identities, not to pods."""
        supplies, register = list(self._stock.supplies.values()), self._register
        everyone = [each for some in register.connections.values() for each in some]
        return Statistics(
            pods=len(self._index),
            namespaces=len(self._index.namespaces),
            assigned=pods_by_state(self._index.reasons, supplies),
            sessions=sum(each.session is not None for each in supplies),
            sessions_idle=sum(each.session is not None and not each.needed_by for each in supplies),
            first_end=first_end(supplies),
            nodes=by_version(each.version for each in everyone),
            claims_restored=self._stock.claims_restored,
            due=self._stock.schedule.count_ready(now),
            overdue=count_overdue(supplies, now),
            in_flight=self._stock.budget.in_flight,
            calls_per_second=self._stock.budget.calls_per_second,
            quarantined=len(register.quarantined),
            bugs=self._bugs,
            watch_fresh=register.watch_fresh,
        )

    def _wake(self) -> None:
        self.wake_scheduler()

    def _report_users(self, identity: Identity) -> None:
        for uid in self._stock.users(identity.session_id):
            if (entry := self._index.entry(uid)) is not None:
                self._register.report(entry)

    def _keys_of(self, node: NodeName) -> EndpointKeys:
        key = hmac.digest(self._rules.token_secret, node.encode(), hashlib.sha256)
        rules = self._rules
        return EndpointKeys(key, rules.base_arn, rules.imdsv2_required, node, self._pod_tokens)
