"""The engine: changes and a time go in; who may hold what, and what to ask STS, comes out."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rolecall_proto.values import Address, Hello, NodeName, Reason, Resolution, State
from rolecall_server.authority import Agent
from rolecall_server.budget import BudgetRules
from rolecall_server.fanout import Connection
from rolecall_server.identity import Identity
from rolecall_server.issuer import Issued, IssueError
from rolecall_server.journal import Journal
from rolecall_server.policy import Policy
from rolecall_server.source import Change

__all__ = ["Broker", "BrokerRules", "Connection", "Statistics"]


@dataclass(frozen=True, slots=True)
class BrokerRules:
    """What the broker is told at start; it checks nothing of it, the settings do."""

    # At least 32 random bytes that all replicas share; each node's token key is derived from it.
    token_secret: bytes = field(repr=False)
    base_arn: str = ""
    imdsv2_required: bool = False  # Where the namespace does not say.
    # How long before the true end pods are told that credentials end (contract §5).
    reported_early: timedelta = timedelta(minutes=5)
    budget: BudgetRules = field(default_factory=BudgetRules)


@dataclass(frozen=True, slots=True)
class Statistics:
    """How the broker stands at one moment, for metrics."""

    pods: int  # Bound to a node and not finished.
    namespaces: int
    # Pods of all nodes by (state, reason); pods of connected nodes only where state depends on STS.
    assigned: Mapping[tuple[State, Reason | None], int]
    sessions: int  # With credentials in hand.
    sessions_idle: int  # Kept for a pod that may come back; not renewed.
    first_end: datetime | None  # The nearest true end among the sessions that are needed.
    nodes: Mapping[str, int]  # Connected agents by version.
    claims_restored: int  # Sessions that agents said they hold already, ever.
    due: int  # Identities that may be issued as soon as the budget allows.
    overdue: int  # Of all needed: due for more than a minute and not issued.
    in_flight: int
    calls_per_second: float  # What the budget allows at the moment.
    quarantined: int
    bugs: int  # Caught at the boundary around one object, ever.
    watch_fresh: bool


class Broker:
    """Knows every pod and decides; holds the sessions; knows what each connected node was told.

    Pure and synchronous: no clock, no I/O. All times are aware and in UTC.
    """

    def __init__(
        self, policy: Policy, rules: BrokerRules, dice: random.Random, journal: Journal
    ) -> None:
        # Called when `due` or `next_moment` may say something new. Set by whoever runs the schedule.
        self.wake_scheduler: Callable[[], None] = lambda: None

    @property
    def synced(self) -> bool:
        """Whether both pods and namespaces were listed once: before, no agent is let in."""
        raise NotImplementedError

    def apply(self, change: Change, now: datetime) -> None:
        """Take in one change. Nothing that it carries can make this raise."""
        raise NotImplementedError

    def connect(
        self, agent: Agent, hello: Hello, wake: Callable[[], None], now: datetime
    ) -> Connection:
        """Let *agent* in. *wake* is called when its connection may have something to take.

        A node may have several connections at once, for instance while an agent is replaced. The
        snapshot is ready at once; *wake* is not called for it.
        """
        raise NotImplementedError

    def disconnect(self, connection: Connection, now: datetime) -> None:
        """Forget *connection*; its `take` returns nothing from now on. Twice is as once."""
        raise NotImplementedError

    def resolve(self, node: NodeName, address: Address, now: datetime) -> Resolution:
        """Tell whether a pod of *node* has *address*; its identity becomes the most urgent one."""
        raise NotImplementedError

    def due(self, now: datetime) -> list[Identity]:
        """Take what may be issued now, the most urgent first, within the budget.

        Each stays in flight until `issued` or `failed` is called for it, exactly once.
        """
        raise NotImplementedError

    def next_moment(self, now: datetime) -> datetime | None:
        """Return when `due` is to be called next, *now* at the earliest; None: when woken."""
        raise NotImplementedError

    def issued(self, identity: Identity, issued: Issued, now: datetime) -> None:
        """STS gave *issued* for *identity*, which was in flight."""
        raise NotImplementedError

    def failed(self, identity: Identity, error: IssueError, now: datetime) -> None:
        """STS gave nothing for *identity*, which was in flight."""
        raise NotImplementedError

    def statistics(self, now: datetime) -> Statistics:
        """Return how things stand; costs time in proportion to identities, not to pods."""
        raise NotImplementedError
