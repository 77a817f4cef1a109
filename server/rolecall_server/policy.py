"""Who may have what: one pod and its namespace go in, a decision and its reason come out."""

import enum
from dataclasses import dataclass
from typing import Final

from rolecall_proto.values import Reason
from rolecall_server.identity import Identity
from rolecall_server.pods import Namespace, Pod


class Gone(enum.Enum):
    """Stands for a namespace that is known to be gone; one that is not known yet is None."""

    GONE = enum.auto()


GONE: Final = Gone.GONE


@dataclass(frozen=True, slots=True)
class Remark:
    """What somebody should know of a pod that is served."""

    reason: Reason
    sentence: str


@dataclass(frozen=True, slots=True)
class Entitled:
    """The pod may have the credentials of *identity*; it sees *role_shown* as its role."""

    identity: Identity
    role_shown: str
    notes: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Denied:
    """The pod has no role, or may not have it; *sentence* is for people, the pod is never told."""

    reason: Reason
    sentence: str


@dataclass(frozen=True, slots=True)
class Pending:
    """It cannot be told yet."""

    reason: Reason


Decision = Entitled | Denied | Pending


class Policy:
    """Decides by rules that are fixed at start. Pure: same pod and namespace, same answer."""

    def decide(self, pod: Pod, namespace: Namespace | Gone | None) -> Decision:
        """Decide on *pod*, in *namespace* as it is known: None is not known yet."""
        raise NotImplementedError
