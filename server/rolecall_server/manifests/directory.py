"""Turns what a directory of manifests says into pods with a place, and into changes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from rolecall_proto.values import PodUid
from rolecall_server.manifests.contents import Contents, Problem, Reading
from rolecall_server.manifests.files import File
from rolecall_server.manifests.placement import Place, Pools
from rolecall_server.manifests.workloads import Wanted
from rolecall_server.model.annotations import AnnotationKeys
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

# The namespace of our uids: any constant will do, as long as it is always the same.
_UIDS = UUID("5c3f6c1e-29a4-4c0b-9a53-0e6d9f2b7a11")
# How many names of dead pods are remembered, so that one that returns is a pod of its own.
_MOST_DEAD = 10_000

_PodKey = tuple[str, str]  # Namespace and name.


@dataclass(frozen=True, slots=True)
class Statistics:
    """What was found when the directory was last read."""

    files: int = 0
    pods: int = 0
    unplaced: int = 0  # Pods that no node has room for.
    namespaces: int = 0
    ignored: int = 0  # Objects that make no pods.
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Alive:
    identity: str
    pod: Pod


class Directory:
    """The cluster that a directory describes: pods, their nodes and addresses, namespaces.

    A pod keeps uid, node and addresses while it lives. A namespace that pods are in, and that
    nobody wrote down, exists without annotations: there is no API server to refuse such pods.
    """

    def __init__(self, pools: Pools, keys: AnnotationKeys) -> None:
        self._pools = pools
        self._contents = Contents(pools.nodes, keys)
        self._alive: dict[_PodKey, _Alive] = {}
        self._deaths: dict[_PodKey, int] = {}
        self._namespaces: dict[str, Namespace] = {}
        self.statistics = Statistics()

    @property
    def pods(self) -> tuple[Pod, ...]:
        return tuple(alive.pod for alive in self._alive.values())

    def listed(self) -> list[Change]:
        """Return everything as it is now."""
        return [NamespacesListed(tuple(self._namespaces.values())), PodsListed(self.pods)]

    def update(self, files: Mapping[str, File]) -> list[Change]:
        """Take in *files*, which are all there are, and return what has changed.

        Who is gone comes before who is new, so that an address is free before it is given away.
        Raises nothing, whatever is in the files.
        """
        reading = self._contents.read(files)
        changes = [
            *self._changed_namespaces(reading),
            *(PodGone(uid) for uid in self._remove_gone(reading)),
            *(PodChanged(pod) for pod in self._placed(reading)),
            *self._gone_namespaces(reading),
        ]
        self.statistics = Statistics(
            files=len(files),
            pods=len(self._alive),
            unplaced=sum(alive.pod.node is None for alive in self._alive.values()),
            namespaces=len(self._namespaces),
            ignored=reading.ignored,
            problems=tuple(reading.problems),
        )
        return changes

    def _changed_namespaces(self, reading: Reading) -> Iterator[Change]:
        for name in {namespace for namespace, _ in reading.pods} - reading.namespaces.keys():
            reading.namespaces[name] = Namespace(name)
        for name, namespace in reading.namespaces.items():
            if self._namespaces.get(name) != namespace:
                self._namespaces[name] = namespace
                yield NamespaceChanged(namespace)

    def _gone_namespaces(self, reading: Reading) -> Iterator[Change]:
        for name in self._namespaces.keys() - reading.namespaces.keys():
            del self._namespaces[name]
            yield NamespaceGone(name)

    def _remove_gone(self, reading: Reading) -> Iterator[PodUid]:
        for key, alive in list(self._alive.items()):
            wanted = reading.pods.get(key)
            if wanted is None or wanted.identity != alive.identity:
                del self._alive[key]
                self._pools.release(alive.pod.addresses)
                self._remember_death(key)
                yield alive.pod.uid

    def _remember_death(self, key: _PodKey) -> None:
        self._deaths[key] = self._deaths.pop(key, 0) + 1
        if len(self._deaths) > _MOST_DEAD:
            del self._deaths[next(iter(self._deaths))]

    def _placed(self, reading: Reading) -> Iterator[Pod]:
        # Those that say where they are go first; the others get what is left.
        ordered = sorted(reading.pods.items(), key=lambda item: not item[1].model.addresses)
        for key, wanted in ordered:
            alive = self._alive.get(key)
            former = alive.pod if alive else None
            place = self._place(key, wanted, former)
            pod = replace(
                wanted.model,
                uid=former.uid if former else self._new_uid(key, wanted),
                name=wanted.name,
                node=place.node if place else None,
                addresses=place.addresses if place else (),
            )
            if pod != former:
                self._pools.release(former.addresses if former else ())
                self._pools.take(pod.addresses)
                self._alive[key] = _Alive(wanted.identity, pod)
                yield pod

    def _new_uid(self, key: _PodKey, wanted: Wanted) -> PodUid:
        parts = (*key, wanted.identity, str(self._deaths.get(key, 0)))
        return PodUid(str(uuid5(_UIDS, "\n".join(parts))))

    def _place(self, key: _PodKey, wanted: Wanted, former: Pod | None) -> Place | None:
        """Return the place of a pod: as it says itself, as it was, or a new one."""
        name, model, pools = "/".join(key), wanted.model, self._pools
        if model.addresses:
            node = wanted.node or pools.node_of(model.addresses[0]) or pools.node_for(name)
            return None if node is None else Place(node, model.addresses)
        if model.host_network:
            node = wanted.node or pools.node_for(name)
            return None if node is None else Place(node, pools.own_addresses(node))
        if former is not None and former.node is not None and former.addresses:
            return Place(former.node, former.addresses)
        return pools.place(name, wanted.node)
