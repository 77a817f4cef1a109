"""The API server: what is written there, and watches that tell it late, twice, or anew."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from rolecall_proto.values import PodUid
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
from simulation.timeline import Timeline

SECOND = timedelta(seconds=1)
PODS, NAMESPACES = "pods", "namespaces"
# How late a healthy watch is, at most.
WATCH_LAG = 0.3


class Watch:
    """What one server hears: each kind in order, the two kinds in none."""

    def __init__(self, api: "Api", timeline: Timeline, hear: Callable[[Change], None]) -> None:
        self._api = api
        self._timeline = timeline
        self._hear = hear
        self._last: dict[str, datetime] = {}
        self._listing: dict[str, int] = {PODS: 0, NAMESPACES: 0}
        self.stuck_until = timeline.now

    def tell(self, kind: str, change: Change) -> None:
        listing = self._listing[kind]
        times = 2 if self._timeline.dice.random() < 0.1 else 1
        for _ in range(times):
            self._timeline.at(self._next(kind), partial(self._deliver, kind, listing, change))

    def relist(self, kind: str) -> None:
        """Forget what was on its way, and tell everything as it is now."""
        self._listing[kind] += 1
        self._last.pop(kind, None)
        if kind == PODS:
            everything: Change = PodsListed(tuple(self._api.pods.values()))
        else:
            everything = NamespacesListed(tuple(self._api.namespaces.values()))
        moment = self._next(kind)
        self._timeline.at(moment, partial(self._deliver, kind, self._listing[kind], everything))

    def close(self) -> None:
        self._listing = {PODS: -1, NAMESPACES: -1}

    def _next(self, kind: str) -> datetime:
        now = max(self._timeline.now, self.stuck_until)
        moment = now + (self._timeline.dice.uniform(0.001, WATCH_LAG) * SECOND)
        self._last[kind] = max(moment, self._last.get(kind, moment))
        return self._last[kind]

    def _deliver(self, kind: str, listing: int, change: Change) -> None:
        if self._listing[kind] == listing:
            self._hear(change)


class Api:
    """What is written, and who watches it."""

    def __init__(self) -> None:
        self.pods: dict[PodUid, Pod] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.watches: list[Watch] = []

    def put_pod(self, pod: Pod) -> None:
        self.pods[pod.uid] = pod
        self._tell(PODS, PodChanged(pod))

    def drop_pod(self, uid: PodUid) -> None:
        if self.pods.pop(uid, None) is not None:
            self._tell(PODS, PodGone(uid))

    def put_namespace(self, namespace: Namespace) -> None:
        self.namespaces[namespace.name] = namespace
        self._tell(NAMESPACES, NamespaceChanged(namespace))

    def drop_namespace(self, name: str) -> None:
        if self.namespaces.pop(name, None) is not None:
            self._tell(NAMESPACES, NamespaceGone(name))

    def _tell(self, kind: str, change: Change) -> None:
        for watch in self.watches:
            watch.tell(kind, change)
