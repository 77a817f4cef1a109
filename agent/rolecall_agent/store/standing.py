"""What a pod gets, or whoever asks from an address: what the cache says of it at a time."""

from dataclasses import dataclass

from rolecall_common.secret import NotPickled
from rolecall_proto.values import Assignment, Reason, Session


@dataclass(frozen=True, slots=True)
class Unknown:
    """No living pod is known at this address (yet), or two claim it: a request waits."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The pod gets nothing, and waiting would not help."""

    assignment: Assignment


@dataclass(frozen=True, slots=True)
class Waiting:
    """The pod is known and its credentials are not here (any more): a request waits."""

    assignment: Assignment
    reason: Reason


@dataclass(slots=True)
class Granted(NotPickled):
    """The pod may have these credentials, and they are still valid.

    Not frozen, because a frozen one costs each request a microsecond; nobody changes it.
    """

    assignment: Assignment
    session: Session


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A pod is known at this address, and the kernel does not vouch for it now: a request waits."""


@dataclass(frozen=True, slots=True)
class Unwitnessed:
    """A pod is known at this address, and nothing could vouch for it: it gets nothing by it."""

    assignment: Assignment


@dataclass(frozen=True, slots=True)
class Rewritten:
    """No pod can have this address: it is the node's own or its gateway's. Waiting helps nobody."""


# Of a pod; and of whoever asks from an address.
Standing = Unknown | Refused | Waiting | Granted
AddressStanding = Standing | Unconfirmed | Unwitnessed | Rewritten
UNKNOWN = Unknown()
UNCONFIRMED = Unconfirmed()
REWRITTEN = Rewritten()
