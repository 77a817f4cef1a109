"""What policy says of one pod; the same reason goes to log, metric, Event and `explain`."""

import enum
from dataclasses import dataclass
from typing import Final

from rolecall_proto.values import Reason
from rolecall_server.model.identity import Identity


class Gone(enum.Enum):
    """Stands for a namespace that is known to be gone; one that is not known yet is None."""

    GONE = enum.auto()


GONE: Final = Gone.GONE


@dataclass(frozen=True, slots=True)
class Remark:
    """What somebody should know of a pod that is served.

    With the reason of a denial it is what `warn` mode let pass: enforced, it would be that denial.
    """

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
    """The pod has no role, or may not have it; *sentence* is for people, never for the pod."""

    reason: Reason
    sentence: str


@dataclass(frozen=True, slots=True)
class Pending:
    """It cannot be decided yet."""

    reason: Reason


Decision = Entitled | Denied | Pending
