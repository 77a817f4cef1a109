"""Where pods and namespaces come from: the seam that every source, whatever its kind, fits."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from rolecall_proto.values import PodUid
from rolecall_server.model.pods import Namespace, ObjectUnusable, Pod


@dataclass(frozen=True, slots=True)
class PodsListed:
    """These are all the pods there are: one that is absent is gone."""

    pods: tuple[Pod, ...]


@dataclass(frozen=True, slots=True)
class NamespacesListed:
    """These are all the namespaces there are: one that is absent is gone."""

    namespaces: tuple[Namespace, ...]


@dataclass(frozen=True, slots=True)
class PodChanged:
    """The pod is new, or something about it is."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class PodGone:
    uid: PodUid


@dataclass(frozen=True, slots=True)
class NamespaceChanged:
    """The namespace is new, or something about it is."""

    namespace: Namespace


@dataclass(frozen=True, slots=True)
class NamespaceGone:
    name: str


@dataclass(frozen=True, slots=True)
class WatchState:
    """Whether what the source yields is up to date; a source that never was has said nothing.

    *of* says what of it, where a source has one kind of objects only.
    """

    fresh: bool
    of: str = ""


# An unusable object replaces what was known of it: it counts as gone until it can be read again.
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
    """Yields what there is, and then what becomes of it."""

    def changes(self) -> AsyncGenerator[Change]:
        """Yield what there is first, then changes as they happen; it ends only by being closed.

        A source may yield pods, namespaces, or both: who serves needs both.
        After a gap it lists again rather than guess. A listing is followed by one ObjectUnusable
        for each object left out of it.
        """
        ...
