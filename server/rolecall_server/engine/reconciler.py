"""Takes in what the watch tells: keeps the index, and has pods decided anew where it matters."""

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import assert_never

from rolecall_proto.values import NodeName, PodUid, Reason, SessionId
from rolecall_server.credentials.store import Stock
from rolecall_server.engine.index import Entry, Index
from rolecall_server.model.decisions import GONE, Decision, Denied, Entitled, Pending
from rolecall_server.model.pods import Namespace, ObjectUnusable, Pod
from rolecall_server.model.source import (
    Change,
    NamespaceChanged,
    NamespaceGone,
    NamespacesListed,
    PodChanged,
    PodGone,
    PodsListed,
    WatchState,
)
from rolecall_server.nodes.subscription import Connection
from rolecall_server.policy.policy import Policy
from rolecall_server.telemetry.journal import Journal

# What a pod is while it is being decided on; nobody sees it.
UNDECIDED = Pending(Reason.NAMESPACE_UNKNOWN)
POD, NAMESPACE = "Pod", "Namespace"
BUG = Denied(Reason.BUG, "an unforeseen error; the server's log has its traceback")


@dataclass(frozen=True, slots=True)
class Part:
    """What a change asks for one object."""

    kind: str
    key: str
    act: Callable[[datetime], None]


class Register:
    """Every pod's decision, kept true as pods and namespaces change.

    A change is taken in object by object, so that what is wrong with one harms no other.
    """

    def __init__(self, policy: Policy, index: Index, stock: Stock, journal: Journal) -> None:
        self.connections: dict[NodeName, list[Connection]] = {}
        self.quarantined: dict[tuple[str, str], str] = {}
        self._fresh: dict[str, bool] = {}  # By what of the watch it is said.
        self.pods_listed = False
        self.namespaces_listed = False
        self._policy = policy
        self._index = index
        self._stock = stock
        self._journal = journal

    @property
    def watch_fresh(self) -> bool:
        """Whether everything that was ever said to be fresh still is."""
        return bool(self._fresh) and all(self._fresh.values())

    def parts(self, change: Change) -> Iterator[Part]:
        """Yield what *change* asks for, one object at a time; later parts see what earlier did."""
        match change:
            case PodsListed(pods):
                yield from self._pods_listed(pods)
            case NamespacesListed(namespaces):
                yield from self._namespaces_listed(namespaces)
            case PodChanged(pod):
                yield Part(POD, pod.uid, partial(self._put_pod, pod))
            case PodGone(uid):
                yield Part(POD, uid, partial(self._drop_pod, uid))
            case NamespaceChanged(namespace):
                yield from self._namespace_changed(namespace)
            case NamespaceGone(name):
                yield from self._namespace_gone(name)
            case ObjectUnusable(kind, key, reason):
                yield Part(kind, key, partial(self._set_aside, kind, key, reason))
            case WatchState(fresh, of):
                self._fresh[of] = fresh
            case _:
                assert_never(change)

    def deny_for_bug(self, part: Part, error: Exception, now: datetime) -> None:
        """Set aside the object around which *error* came up: if it is a pod, it gets nothing."""
        self.quarantined[part.kind, part.key] = str(Reason.BUG)
        self._journal.bug(part.kind, part.key, error)
        entry = self._index.entry(PodUid(part.key)) if part.kind == POD else None
        if entry is not None:
            self._settle(entry, BUG, now)

    def report(self, entry: Entry) -> None:
        """Tell the journal what is wrong with a pod of a connected node, each cause once."""
        connections = self.connections.get(entry.node)
        if not connections:
            return
        if entry.told != entry.decision:
            entry.told = entry.decision
            self._report_decision(entry.pod, entry.decision)
        if isinstance(entry.decision, Entitled):
            self._report_refusal(entry, entry.decision.identity.session_id, connections[0])

    def _pods_listed(self, pods: Iterable[Pod]) -> Iterator[Part]:
        listed = {pod.uid: pod for pod in pods}
        self._forget_absent(POD, listed)
        # The dead first: their addresses may be others' by now.
        for uid in [each for each in self._index.uids() if each not in listed]:
            yield Part(POD, uid, partial(self._drop_pod, uid))
        for uid, pod in listed.items():
            yield Part(POD, uid, partial(self._put_pod, pod))
        self.pods_listed = True

    def _namespaces_listed(self, namespaces: Iterable[Namespace]) -> Iterator[Part]:
        listed = {namespace.name: namespace for namespace in namespaces}
        self._forget_absent(NAMESPACE, listed)
        for name in [each for each in self._index.namespaces if each not in listed]:
            yield from self._namespace_gone(name)
        for namespace in listed.values():
            yield from self._namespace_changed(namespace)
        self.namespaces_listed = True

    def _forget_absent(self, kind: str, listed: Container[str]) -> None:
        """Quarantine no more what is not listed: what is there and unusable is told next."""
        for each in [key for key in self.quarantined if key[0] == kind and key[1] not in listed]:
            del self.quarantined[each]

    def _namespace_changed(self, namespace: Namespace) -> Iterator[Part]:
        self.quarantined.pop((NAMESPACE, namespace.name), None)
        if self._index.namespaces.get(namespace.name) == namespace:
            return
        yield Part(NAMESPACE, namespace.name, lambda _: self._index.put_namespace(namespace))
        yield from self._decide_all(namespace.name)

    def _namespace_gone(self, name: str) -> Iterator[Part]:
        self.quarantined.pop((NAMESPACE, name), None)
        yield Part(NAMESPACE, name, lambda _: self._index.remove_namespace(name))
        yield from self._decide_all(name)

    def _decide_all(self, namespace: str) -> Iterator[Part]:
        for entry in list(self._index.in_namespace(namespace).values()):
            yield Part(POD, entry.pod.uid, partial(self._decide_again, entry))

    def _put_pod(self, pod: Pod, now: datetime) -> None:
        set_aside = self.quarantined.pop((POD, pod.uid), None)
        entry = self._index.entry(pod.uid)
        if entry is not None and entry.node != pod.node:
            self._drop_pod(pod.uid, now)
            entry = None
        if pod.node is None or pod.finished:
            self._drop_pod(pod.uid, now)
        elif entry is None:
            self._add_pod(pod, pod.node, now)
        elif entry.pod != pod or set_aside:
            entry.pod = pod
            self._settle(entry, self._decide(pod), now)

    def _add_pod(self, pod: Pod, node: NodeName, now: datetime) -> None:
        entry = Entry(pod, node, UNDECIDED)
        self._index.add(entry)
        self._settle(entry, self._decide(pod), now)

    def _drop_pod(self, uid: PodUid, now: datetime) -> None:
        self.quarantined.pop((POD, uid), None)
        entry = self._index.entry(uid)
        if entry is not None:
            self._index.remove(entry)
            for connection in self.connections.get(entry.node, ()):
                connection.touch_pod(uid)
                if (session_id := _session_of(entry.decision)) is not None:
                    self._stock.release(session_id, uid, connection, now)

    def _decide_again(self, entry: Entry, now: datetime) -> None:
        self.quarantined.pop((POD, entry.pod.uid), None)
        self._settle(entry, self._decide(entry.pod), now)

    def _decide(self, pod: Pod) -> Decision:
        if self._index.is_gone(pod.namespace):
            return self._policy.decide(pod, GONE)
        return self._policy.decide(pod, self._index.namespaces.get(pod.namespace))

    def _settle(self, entry: Entry, decision: Decision, now: datetime) -> None:
        before, uid = _session_of(entry.decision), entry.pod.uid
        self._index.decide(entry, decision)
        after = _session_of(decision)
        for connection in self.connections.get(entry.node, ()):
            connection.touch_pod(uid)
            if isinstance(decision, Entitled) and after != before:
                self._stock.need(decision.identity, uid, connection, now, new=True)
            if before is not None and before != after:
                self._stock.release(before, uid, connection, now)
        self.report(entry)

    def _set_aside(self, kind: str, key: str, reason: str, now: datetime) -> None:
        if kind == POD:
            self._drop_pod(PodUid(key), now)
        self.quarantined[kind, key] = reason
        self._journal.quarantined(kind, key, reason)

    def _report_decision(self, pod: Pod, decision: Decision) -> None:
        match decision:
            case Denied(reason, sentence) if reason is not Reason.NO_ROLE:
                self._journal.denied(pod, reason, sentence)
            case Entitled():
                for note in decision.notes:
                    self._journal.warned(pod, note.reason, note.sentence)
            case Denied() | Pending():
                pass

    def _report_refusal(self, entry: Entry, session_id: SessionId, connection: Connection) -> None:
        setback = self._stock.refusal(session_id, connection)
        reason = setback.reason if setback is not None else None
        if setback is not None and reason is not None and reason is not entry.refused:
            self._journal.refused(entry.pod, reason, setback.explanation)
        entry.refused = reason


def _session_of(decision: Decision) -> SessionId | None:
    return decision.identity.session_id if isinstance(decision, Entitled) else None
