"""Where pods and namespaces come from: the seam between a watch and the engine."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from rolecall_proto.values import PodUid
from rolecall_server.pods import Namespace, Pod


@dataclass(frozen=True, slots=True)
class PodsListed:
    """These are all pods: a pod that is absent is gone."""

    pods: tuple[Pod, ...]


@dataclass(frozen=True, slots=True)
class NamespacesListed:
    """These are all namespaces: a namespace that is absent is gone."""

    namespaces: tuple[Namespace, ...]


@dataclass(frozen=True, slots=True)
class PodChanged:
    """The pod is new, or is not what it was."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class PodGone:
    uid: PodUid


@dataclass(frozen=True, slots=True)
class NamespaceChanged:
    """The namespace is new, or is not what it was."""

    namespace: Namespace


@dataclass(frozen=True, slots=True)
class NamespaceGone:
    name: str


@dataclass(frozen=True, slots=True)
class ObjectUnusable:
    """An object that makes no sense is left out, for *reason*; everything else is told as ever.

    *kind* is Kubernetes' (`Pod`, `Namespace`); *key* the uid of a pod where it has one, else its
    name, or the place where it was read.
    """

    kind: str
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class WatchState:
    """Whether what was told is up to date, as far as the source can tell."""

    fresh: bool


Change = (
    PodsListed
    | NamespacesListed
    | PodChanged
    | PodGone
    | NamespaceChanged
    | NamespaceGone
    | ObjectUnusable
    | WatchState
)


class Source(Protocol):
    """Tells what there is, then what changes."""

    def changes(self) -> AsyncGenerator[Change]:
        """Yield changes until closed.

        Each kind is listed first, and again whenever changes may have been missed. An object that
        changed several times may be told once, as it is now.
        """
        ...
