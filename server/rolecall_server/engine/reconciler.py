"""Takes in what the watch shows: keeps the index, and has pods decided anew where it matters."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import assert_never

from rolecall_proto.values import NodeName, PodUid, Reason, SessionId
from rolecall_server.credentials.store import CredentialStore
from rolecall_server.engine.index import Entry, Index
from rolecall_server.engine.pod_reporter import PodReporter
from rolecall_server.engine.quarantine import Quarantine
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
from rolecall_server.nodes.subscription import Subscriptions
from rolecall_server.policy.policy import Policy
from rolecall_server.telemetry.journal import Journal

# What a pod is while it is being decided on; nobody sees it.
UNDECIDED = Pending(Reason.NAMESPACE_UNKNOWN)
POD, NAMESPACE = "Pod", "Namespace"
BUG = Denied(Reason.BUG, "an unforeseen error; the server's log has its traceback")


@dataclass(frozen=True, slots=True)
class Step:
    """What a change asks for one object."""

    kind: str
    key: str
    apply: Callable[[datetime], None]


class Reconciler:
    """Every pod's decision, kept true as pods and namespaces change.

    A change is taken in object by object, so that what is wrong with one harms no other.
    """

    def __init__(
        self,
        policy: Policy,
        index: Index,
        store: CredentialStore,
        subscriptions: Subscriptions,
        journal: Journal,
    ) -> None:
        self.quarantine = Quarantine(journal)
        self.reporter = PodReporter(store, subscriptions, journal)
        self._fresh: dict[str, bool] = {}  # By what of the watch it is said.
        self._pods_listed = False
        self._namespaces_listed = False
        self._policy = policy
        self._index = index
        self._store = store
        self._subscriptions = subscriptions

    @property
    def synced(self) -> bool:
        """Whether both pods and namespaces were listed once."""
        return self._pods_listed and self._namespaces_listed

    @property
    def watch_fresh(self) -> bool:
        """Whether everything that was ever said to be fresh still is."""
        return bool(self._fresh) and all(self._fresh.values())

    def steps(self, change: Change) -> Iterator[Step]:
        """Yield what *change* asks for, object by object; later steps see what earlier ones did."""
        match change:
            case PodsListed(pods):
                yield from self._list_pods(pods)
            case NamespacesListed(namespaces):
                yield from self._list_namespaces(namespaces)
            case PodChanged(pod):
                yield Step(POD, pod.uid, partial(self._put_pod, pod))
            case PodGone(uid):
                yield Step(POD, uid, partial(self._drop_pod, uid))
            case NamespaceChanged(namespace):
                yield from self._namespace_changed(namespace)
            case NamespaceGone(name):
                yield from self._namespace_gone(name)
            case ObjectUnusable(kind, key, reason):
                yield Step(kind, key, partial(self._set_aside, kind, key, reason))
            case WatchState(fresh, of):
                self._fresh[of] = fresh
            case _:
                assert_never(change)

    def deny_for_bug(self, step: Step, error: Exception, now: datetime) -> None:
        """Set aside the object around which *error* came up: if it is a pod, it gets nothing."""
        self.quarantine.add_for_bug(step.kind, step.key, error)
        entry = self._index.entry(PodUid(step.key)) if step.kind == POD else None
        if entry is not None:
            self._settle(entry, BUG, now)

    def _list_pods(self, pods: Iterable[Pod]) -> Iterator[Step]:
        listed = {pod.uid: pod for pod in pods}
        self.quarantine.release_absent(POD, listed)
        # The dead first: their addresses may be others' by now.
        for uid in [each for each in self._index.uids() if each not in listed]:
            yield Step(POD, uid, partial(self._drop_pod, uid))
        for uid, pod in listed.items():
            yield Step(POD, uid, partial(self._put_pod, pod))
        self._pods_listed = True

    def _list_namespaces(self, namespaces: Iterable[Namespace]) -> Iterator[Step]:
        listed = {namespace.name: namespace for namespace in namespaces}
        self.quarantine.release_absent(NAMESPACE, listed)
        for name in [each for each in self._index.namespaces if each not in listed]:
            yield from self._namespace_gone(name)
        for namespace in listed.values():
            yield from self._namespace_changed(namespace)
        self._namespaces_listed = True

    def _namespace_changed(self, namespace: Namespace) -> Iterator[Step]:
        self.quarantine.release(NAMESPACE, namespace.name)
        if self._index.namespaces.get(namespace.name) == namespace:
            return
        yield Step(NAMESPACE, namespace.name, lambda _: self._index.put_namespace(namespace))
        yield from self._decide_all(namespace.name)

    def _namespace_gone(self, name: str) -> Iterator[Step]:
        self.quarantine.release(NAMESPACE, name)
        yield Step(NAMESPACE, name, lambda _: self._index.remove_namespace(name))
        yield from self._decide_all(name)

    def _decide_all(self, namespace: str) -> Iterator[Step]:
        for entry in list(self._index.in_namespace(namespace).values()):
            yield Step(POD, entry.pod.uid, partial(self._decide_again, entry))

    def _put_pod(self, pod: Pod, now: datetime) -> None:
        was_set_aside = self.quarantine.release(POD, pod.uid)
        entry = self._index.entry(pod.uid)
        if entry is not None and entry.node != pod.node:
            self._drop_pod(pod.uid, now)
            entry = None
        if pod.node is None or pod.finished:
            self._drop_pod(pod.uid, now)
        elif entry is None:
            self._add_pod(pod, pod.node, now)
        elif entry.pod != pod or was_set_aside:
            entry.pod = pod
            self._settle(entry, self._decide(pod), now)

    def _add_pod(self, pod: Pod, node: NodeName, now: datetime) -> None:
        entry = Entry(pod, node, UNDECIDED)
        self._index.add(entry)
        self._settle(entry, self._decide(pod), now)

    def _drop_pod(self, uid: PodUid, now: datetime) -> None:
        self.quarantine.release(POD, uid)
        entry = self._index.entry(uid)
        if entry is not None:
            self._index.remove(entry)
            for subscription in self._subscriptions.get(entry.node, ()):
                subscription.touch_pod(uid)
                if (session_id := _session_of(entry.decision)) is not None:
                    self._store.release(session_id, uid, subscription, now)

    def _decide_again(self, entry: Entry, now: datetime) -> None:
        self.quarantine.release(POD, entry.pod.uid)
        self._settle(entry, self._decide(entry.pod), now)

    def _decide(self, pod: Pod) -> Decision:
        if self._index.is_gone(pod.namespace):
            return self._policy.decide(pod, GONE)
        return self._policy.decide(pod, self._index.namespaces.get(pod.namespace))

    def _settle(self, entry: Entry, decision: Decision, now: datetime) -> None:
        before, uid = _session_of(entry.decision), entry.pod.uid
        self._index.decide(entry, decision)
        after = _session_of(decision)
        for subscription in self._subscriptions.get(entry.node, ()):
            subscription.touch_pod(uid)
            if isinstance(decision, Entitled) and after != before:
                self._store.need(decision.identity, entry.pod, subscription, now, new=True)
            if before is not None and before != after:
                self._store.release(before, uid, subscription, now)
        self.reporter.report(entry)

    def _set_aside(self, kind: str, key: str, reason: str, now: datetime) -> None:
        if kind == POD:
            self._drop_pod(PodUid(key), now)
        self.quarantine.add(kind, key, reason)


def _session_of(decision: Decision) -> SessionId | None:
    return decision.identity.session_id if isinstance(decision, Entitled) else None
