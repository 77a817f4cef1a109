"""What a pod asks for, and what can be decided about it: values that every endpoint shares."""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolecall_common.secret import NotPickled
from rolecall_proto.values import Assignment, EndpointKeys, Reason, Session, State


class Route(enum.StrEnum):
    """Every kind of path, as metrics name it."""

    __hash__ = str.__hash__  # An enumeration's own is a call, for each look into a table.

    TOKEN = "token"  # noqa: S105 - the name of a path, not a secret
    DATED_TOKEN = "dated_token"  # noqa: S105 - as above; refused on purpose, as EC2 does
    TOKEN_SLASH = "token_slash"  # noqa: S105 - as above; no path of EC2's
    ROLE_LIST = "role_list"
    ROLE_DOCUMENT = "role_document"
    ROLE_INFO = "role_info"
    ITEM = "item"
    LISTING = "listing"
    OTHER = "other"
    MALFORMED = "malformed"


class Item(enum.StrEnum):
    """One item of the real metadata service, by its path. Nothing else is ever asked there."""

    AVAILABILITY_ZONE = "meta-data/placement/availability-zone"
    AVAILABILITY_ZONE_ID = "meta-data/placement/availability-zone-id"
    REGION = "meta-data/placement/region"
    INSTANCE_ID = "meta-data/instance-id"
    INSTANCE_TYPE = "meta-data/instance-type"
    DOMAIN = "meta-data/services/domain"
    PARTITION = "meta-data/services/partition"
    # Not signed, but it names the node's account: told where an operator says so, and not else.
    IDENTITY_DOCUMENT = "dynamic/instance-identity/document"


class PathClass(enum.StrEnum):
    """What a path is about of which pods are not told, as metrics name it."""

    SPOT = "spot"
    EVENTS = "events"
    NETWORK = "network"
    TAGS = "tags"
    IDENTITY_DOCUMENT = "identity_document"
    USER_DATA = "user_data"
    OTHER = "other"


COMMON_ITEMS = tuple(item for item in Item if item is not Item.IDENTITY_DOCUMENT)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a path leads; *role* is what a role document was asked for, decoded once."""

    route: Route
    role: bytes = b""
    item: Item | None = None
    folder: str = ""


class Outcome(enum.StrEnum):
    """How a request ended, as metrics name it."""

    __hash__ = str.__hash__  # As above.

    SERVED = "served"
    HELD_SERVED = "held_served"  # Served after it waited for its pod or credentials.
    NO_ROLE = "no_role"
    DENIED = "denied"
    FAILED = "failed"  # STS refuses the role.
    NOT_FOUND = "not_found"  # No such path, or a role that is not this pod's.
    UNAUTHORIZED = "unauthorized"  # The token.
    FORBIDDEN = "forbidden"
    INVALID = "invalid"  # The parameters of a token.
    MALFORMED = "malformed"
    METHOD = "method"
    TIMEOUT = "timeout"
    UNWITNESSED = "unwitnessed"  # Its pod's address has no link of its own.
    REWRITTEN = "rewritten"  # From an address that no pod can have: the network rewrites addresses.
    UNAVAILABLE = "unavailable"  # The node's own metadata service.


class Missing(enum.StrEnum):
    """What a held request waits for."""

    SNAPSHOT = "snapshot"
    POD = "pod_unknown"
    CREDENTIALS = "credentials_pending"
    LINK = "link_unconfirmed"  # Whose link an address has now.
    KEYS = "keys_unknown"  # Those of the cluster, by which tokens of pods are checked.
    ITEM = "item"  # Of the node's own metadata.


@dataclass(slots=True)
class Serve(NotPickled):
    """The role's name or document; *good_until* is the end of the token that was shown.

    Not frozen, for speed, as Request is not; nobody changes it.
    """

    assignment: Assignment
    session: Session
    good_until: datetime | None


@dataclass(frozen=True, slots=True)
class GiveToken:
    """A metadata token."""

    keys: EndpointKeys
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class GiveText:
    """A listing, or an item of the node's own metadata: the same for every pod."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Refuse:
    """An error: its status, and why."""

    status: int
    outcome: Outcome


Answer = Serve | GiveToken | GiveText | Refuse

MALFORMED = Refuse(400, Outcome.MALFORMED)
TIMED_OUT = Refuse(503, Outcome.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Hold:
    """Not yet: the request waits for what is missing, and gets *otherwise* if that never comes."""

    missing: Missing
    otherwise: Answer = TIMED_OUT


Decision = Answer | Hold

_NO_ROLE = Refuse(404, Outcome.NO_ROLE)
_DENIED = Refuse(404, Outcome.DENIED)
_FAILED = Refuse(404, Outcome.FAILED)
# How a pod that gets nothing is refused.
POD_REFUSALS = (_NO_ROLE, _DENIED, _FAILED)


def refusal_of(assignment: Assignment) -> Refuse:
    """Return how a pod that gets nothing is refused: the same at every endpoint."""
    if assignment.state is State.FAILED:
        return _FAILED
    return _NO_ROLE if assignment.reason is Reason.NO_ROLE else _DENIED


def status_of(answer: Answer) -> int:
    return answer.status if isinstance(answer, Refuse) else 200


def outcome_of(answer: Answer, *, waited: bool) -> Outcome:
    """Return what metrics call *answer*; *waited* says that the request was held before it."""
    if isinstance(answer, Refuse):
        return answer.outcome
    return Outcome.HELD_SERVED if waited else Outcome.SERVED
