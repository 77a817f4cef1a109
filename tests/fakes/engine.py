"""A broker in the hand of a test: its time, its STS, and agents that are connected to it."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address

from fakes.clock import START
from rolecall_agent.store.cache import Cache
from rolecall_common.secret import Secret
from rolecall_proto.values import (
    Address,
    Assignment,
    AssignmentUpserted,
    Credentials,
    Held,
    Hello,
    NodeName,
    PodRemoved,
    PodUid,
    Reason,
    SessionRenewed,
    Update,
)
from rolecall_server.credentials.rate_limiter import RateLimits
from rolecall_server.engine.broker import Broker
from rolecall_server.engine.rules import BrokerRules
from rolecall_server.model.annotations import Wish
from rolecall_server.model.authenticator import Agent
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import Issued, IssueError
from rolecall_server.model.pods import Namespace, Pod
from rolecall_server.model.source import Change, NamespacesListed, PodsListed
from rolecall_server.nodes.subscription import NodeSubscription
from rolecall_server.policy.policy import Policy
from rolecall_server.policy.role_arns import BaseArn
from rolecall_server.policy.rules import PolicySettings
from rolecall_server.telemetry.journal import Journal, Journals, Why

HOUR = timedelta(hours=1)
BASE = BaseArn.parse("arn:aws:iam::111122223333:role/")
NODE = NodeName("node-1")
OTHER_NODE = NodeName("node-2")
TEAM = Namespace("team", permitted=".*")


def pod(name: str, role: str | None = None, **changes: object) -> Pod:
    """Return a pod of namespace `team` on `node-1`, unless *changes* say otherwise."""
    values: dict[str, object] = {
        "uid": PodUid(f"uid-{name}"),
        "namespace": "team",
        "name": name,
        "service_account": "app",
        "node": NODE,
        "wish": None if role is None else Wish(role=role),
        **changes,
    }
    return Pod(**values)  # type: ignore[arg-type]  # The tests name fields as they are.


def at(text: str) -> tuple[Address, ...]:
    return (ip_address(text),)


@dataclass
class RecordingJournal:
    """A journal that keeps what it gets, as short tuples."""

    lines: list[tuple[object, ...]] = field(default_factory=list)

    def about(self, kind: str) -> list[tuple[object, ...]]:
        return [line[1:] for line in self.lines if line[0] == kind]

    def denied(self, pod: Pod, reason: Reason, sentence: str) -> None:
        self.lines.append(("denied", pod.name, reason, sentence))

    def warned(self, pod: Pod, reason: Reason, sentence: str) -> None:
        self.lines.append(("warned", pod.name, reason, sentence))

    def refused(self, pod: Pod, reason: Reason, sentence: str) -> None:
        self.lines.append(("refused", pod.name, reason, sentence))

    def issued(self, identity: Identity, issued: Issued, why: Why, waited: timedelta) -> None:
        percent = issued.packed_policy_percent
        self.lines.append(("issued", identity.session_name, why, waited, percent))

    def failed(self, identity: Identity, error: IssueError) -> None:
        self.lines.append(("failed", identity.session_name, type(error)))

    def quarantined(self, kind: str, key: str, reason: str) -> None:
        self.lines.append(("quarantined", kind, key, reason))

    def bug(self, kind: str, key: str, error: Exception) -> None:
        self.lines.append(("bug", kind, key, str(error)))


def issued(number: int, at: datetime, life: timedelta = HOUR) -> Issued:
    """Return what STS gives; *number* tells one answer from another."""
    credentials = Credentials(
        f"ASIA{number:016}", Secret(f"secret-{number}"), Secret(f"token-{number}"), at, at + life
    )
    return Issued(credentials, request_id=f"request-{number}")


class FakeAgent:
    """An agent: its subscription, and a real cache that follows it."""

    subscription: NodeSubscription

    def __init__(self, cache: Cache | None = None) -> None:
        self.cache = cache or Cache()
        self.wakes = 0
        self.updates: list[Update] = []  # Everything it was ever sent.

    def wake(self) -> None:
        self.wakes += 1

    def receive(self, now: datetime) -> list[Update]:
        """Take in what there is to receive, and return it."""
        updates = self.subscription.take()
        for update in updates:
            self.cache.apply(update, now)
        self.updates += updates
        return updates


class Engine:
    """A broker whose time, STS and agents move when a test says so."""

    def __init__(
        self,
        *,
        settings: PolicySettings | None = None,
        limits: RateLimits | None = None,
        policy: Policy | None = None,
        journals: Iterable[Journal] = (),
        listed: bool = True,
    ) -> None:
        self.now = START
        self.journal = RecordingJournal()
        self.calls: list[Identity] = []  # Every call of STS, in order.
        self.wakes = 0
        self._answers = 0
        rules = BrokerRules(token_secret=bytes(32), limits=limits or RateLimits())
        policy = policy or Policy(settings or PolicySettings(base=BASE))
        dice = random.Random(1)  # noqa: S311 (dice, not keys)
        self.broker = Broker(policy, rules, dice, Journals((self.journal, *journals)))
        self.broker.wake_issue_loop = self._wake
        if listed:
            self.apply(NamespacesListed((TEAM,)), PodsListed(()))

    def apply(self, *changes: Change) -> None:
        for change in changes:
            self.broker.apply(change, self.now)

    def list_pods(self, *pods: Pod) -> None:
        self.apply(PodsListed(pods))

    def connect(
        self, node: NodeName = NODE, held: Iterable[Held] = (), cache: Cache | None = None
    ) -> FakeAgent:
        """Connect an agent, without having it receive anything yet."""
        agent = FakeAgent(cache)
        agent.cache.begin()
        hello = Hello("0.1.0", tuple(held))
        agent.subscription = self.broker.connect(Agent(node), hello, agent.wake, self.now)
        return agent

    def due(self) -> list[Identity]:
        """Take what is due, as calls that are on their way."""
        due = self.broker.due(self.now)
        self.calls += due
        return due

    def issue(self, *identities: Identity, life: timedelta = HOUR) -> None:
        """Have STS answer for *identities*, or for all that is due where none is named."""
        for identity in identities or self.due():
            self._answers += 1
            self.broker.issued(identity, issued(self._answers, self.now, life), self.now)

    def fail(self, error: IssueError, *identities: Identity) -> None:
        """Have STS fail for *identities*, or for all that is due where none is named."""
        for identity in identities or self.due():
            self.broker.failed(identity, error, self.now)

    def advance(self, by: timedelta) -> None:
        self.now += by

    def advance_to_next(self) -> None:
        """Move on to when the broker wants to be asked next; there must be such a moment."""
        moment = self.broker.next_moment(self.now)
        assert moment is not None
        self.now = moment

    def _wake(self) -> None:
        self.wakes += 1


def assignments(updates: Iterable[Update]) -> dict[str, Assignment]:
    """Return the assignments among *updates* by the pods' names; the last one counts."""
    return {
        each.assignment.name: each.assignment
        for each in updates
        if isinstance(each, AssignmentUpserted)
    }


def sessions(updates: Iterable[Update]) -> list[SessionRenewed]:
    return [each for each in updates if isinstance(each, SessionRenewed)]


def removed(updates: Iterable[Update]) -> list[PodUid]:
    return [each.uid for each in updates if isinstance(each, PodRemoved)]
