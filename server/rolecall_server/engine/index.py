"""Every pod that counts and every namespace, found by uid, by node, by namespace."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TypeVar

from rolecall_proto.values import Address, NodeName, PodUid, Reason
from rolecall_server.model.decisions import Decision, Entitled
from rolecall_server.model.pods import Namespace, Pod

Key = TypeVar("Key")

_NO_PODS: Mapping[PodUid, "Entry"] = MappingProxyType({})


@dataclass(slots=True, eq=False)
class Entry:
    """One pod and what was decided about it. There is one per pod, so it is kept small."""

    pod: Pod
    node: NodeName
    decision: Decision
    # What of it was reported to the journal: each cause once.
    reported: Decision | None = None
    # Why STS refuses it, and until when it is served all the same.
    refused: tuple[Reason, datetime | None] | None = None


@dataclass(slots=True)
class Index:
    """The pods and namespaces of the cluster as the watch has shown them so far.

    No change costs more than the one pod, or the one namespace, that it is about.
    """

    _entries: dict[PodUid, Entry] = field(default_factory=dict)
    _by_node: dict[NodeName, dict[PodUid, Entry]] = field(default_factory=dict)
    _by_namespace: dict[str, dict[PodUid, Entry]] = field(default_factory=dict)
    _namespaces: dict[str, Namespace] = field(default_factory=dict)
    _gone: set[str] = field(default_factory=set)  # Only those that still have pods.
    # How many pods were denied or are pending, by reason; those that are entitled are not here.
    reasons: Counter[Reason] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def namespaces(self) -> Mapping[str, Namespace]:
        return self._namespaces

    def uids(self) -> Iterator[PodUid]:
        return iter(self._entries)

    def entry(self, uid: PodUid) -> Entry | None:
        return self._entries.get(uid)

    def add(self, entry: Entry) -> None:
        """Take in a pod that is not here yet."""
        pod = entry.pod
        self._entries[pod.uid] = entry
        self._by_node.setdefault(entry.node, {})[pod.uid] = entry
        self._by_namespace.setdefault(pod.namespace, {})[pod.uid] = entry
        self._count(entry.decision, 1)

    def remove(self, entry: Entry) -> None:
        """Drop a pod that is here."""
        pod = entry.pod
        self._count(entry.decision, -1)
        del self._entries[pod.uid]
        _take_out(self._by_node, entry.node, pod.uid)
        if _take_out(self._by_namespace, pod.namespace, pod.uid):
            self._gone.discard(pod.namespace)

    def decide(self, entry: Entry, decision: Decision) -> None:
        """Replace what was decided about a pod that is here."""
        self._count(entry.decision, -1)
        entry.decision = decision
        self._count(decision, 1)

    def on_node(self, node: NodeName) -> Mapping[PodUid, Entry]:
        return self._by_node.get(node, _NO_PODS)

    def in_namespace(self, name: str) -> Mapping[PodUid, Entry]:
        return self._by_namespace.get(name, _NO_PODS)

    def at(self, node: NodeName, address: Address) -> list[Entry]:
        """Return the pods of *node* that have *address*: one, unless the API lags behind."""
        return [entry for entry in self.on_node(node).values() if address in entry.pod.addresses]

    def put_namespace(self, namespace: Namespace) -> None:
        """Take in *namespace*, in place of what was known of it."""
        self._namespaces[namespace.name] = namespace
        self._gone.discard(namespace.name)

    def remove_namespace(self, name: str) -> None:
        """Remember that the namespace is gone, as long as there are pods in it."""
        self._namespaces.pop(name, None)
        if name in self._by_namespace:
            self._gone.add(name)

    def is_gone(self, name: str) -> bool:
        return name in self._gone

    def _count(self, decision: Decision, by: int) -> None:
        if not isinstance(decision, Entitled):
            self.reasons[decision.reason] += by


def _take_out(index: dict[Key, dict[PodUid, Entry]], key: Key, uid: PodUid) -> bool:
    """Drop *uid* under *key*; tell whether nothing is left there."""
    entries = index[key]
    del entries[uid]
    if not entries:
        del index[key]
    return not entries
