"""The values that cross the wire, apart from their messages.

`codec` turns each into a message of `v1/broker.proto` and back. Everything inside the server and
the agent speaks these; nothing but the codec and the two stream adapters sees a message.
"""

import enum
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import NewType

from rolecall_common.secret import NotPickled, Secret

PodUid = NewType("PodUid", str)
NodeName = NewType("NodeName", str)
# The digest of an identity: the same on every replica and across restarts, so an agent can name it.
SessionId = NewType("SessionId", str)
Address = IPv4Address | IPv6Address


def plain(address: Address) -> Address:
    """Return *address*, as an IPv4 one where it is one in IPv6's clothes: one address, one key."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address


class Reason(enum.StrEnum):
    """Why a pod has no credentials (yet): one closed list for wire, log, metric, Event and docs.

    What each means to an operator is in `reasons.py`.
    """

    # Nothing to give, and nobody's fault.
    NO_ROLE = "no_role"
    # Denied: asking again will not help until somebody changes something.
    ROLE_MALFORMED = "role_malformed"
    EXTERNAL_ID_MALFORMED = "external_id_malformed"
    EXTERNAL_ID_FORBIDDEN = "external_id_forbidden"
    NAMESPACE_FORBIDS = "namespace_forbids"
    NAMESPACE_GONE = "namespace_gone"
    ACCOUNT_FORBIDDEN = "account_forbidden"
    MIRROR_POD = "mirror_pod"
    TAGS_INVALID = "tags_invalid"
    # Pending: the answer is on its way.
    NAMESPACE_UNKNOWN = "namespace_unknown"
    CREDENTIALS_PENDING = "credentials_pending"
    STS_UNREACHABLE = "sts_unreachable"
    # Failed: STS said no. It is asked again, more and more seldom.
    ACCESS_DENIED = "access_denied"
    REQUEST_INVALID = "request_invalid"
    PACKED_POLICY_TOO_LARGE = "packed_policy_too_large"
    # Remarks: served all the same, and somebody should know.
    HOST_NETWORK_UNSUPPORTED = "host_network_unsupported"
    SESSION_NAME_IGNORED = "session_name_ignored"
    TAGS_IGNORED = "tags_ignored"
    RULE_PARTLY_INVALID = "rule_partly_invalid"
    RULE_PERMITS_EVERYTHING = "rule_permits_everything"
    # An unforeseen error around this one object.
    BUG = "bug"


class State(enum.StrEnum):
    """What an endpoint does with a pod: serve, refuse at once, or hold."""

    GRANTED = "granted"
    DENIED = "denied"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One set of temporary AWS credentials."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret
    issued_at: datetime
    expires_at: datetime  # The true end, as STS gave it.


@dataclass(frozen=True, slots=True)
class Session:
    """The credentials of one identity, as a node holds them, however many pods share them."""

    id: SessionId
    credentials: Credentials
    # What pods are told as `Expiration`: some minutes before the true end.
    reported_until: datetime


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one pod may have.

    *session_id* is set when, and only when, *state* is GRANTED; *reason* in every other state.
    *role* is the role as the pod must see it, *role_arn* what it resolves to; both are empty where
    the pod has none.
    """

    uid: PodUid
    namespace: str
    name: str
    service_account: str
    addresses: tuple[Address, ...]
    state: State
    role: str = ""
    role_arn: str = ""
    session_id: SessionId | None = None
    reason: Reason | None = None
    # Its address is the node's own: the metadata endpoint never serves it.
    host_network: bool = False
    imdsv2_required: bool = False
    # When its sandbox or the last of its containers started, by its node's clock, in whole seconds:
    # then it had *addresses*. None where nobody has said so.
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AssignmentUpserted:
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class PodRemoved:
    uid: PodUid


@dataclass(frozen=True, slots=True)
class SessionRenewed:
    session: Session


@dataclass(frozen=True, slots=True)
class PodTokenRules:
    """What makes a pod's ServiceAccount token good, besides its times and its pod."""

    issuer: str
    audiences: tuple[str, ...]  # Of which it must name one.
    keys: tuple[str, ...]  # Public ones, each a JSON Web Key with its `kid`.


@dataclass(frozen=True, slots=True)
class EndpointKeys(NotPickled):
    """What the endpoints of this node need to check proofs by themselves."""

    # 32 bytes, derived by the server for this node: the key of metadata tokens.
    token_key: bytes = field(repr=False)
    # How the metadata endpoint writes and reads roles: the prefix of short names, or "".
    base_arn: str = ""
    # IMDSv2 required of addresses that no pod is known for (yet).
    imdsv2_required: bool = False
    # The node that the server takes this agent for; for audit records.
    node: NodeName = NodeName("")
    # None where no cluster signs tokens, or its keys are not known (yet).
    pod_tokens: PodTokenRules | None = None


@dataclass(frozen=True, slots=True)
class SnapshotEnd:
    """Everything was said: what this stream has not named since it began is gone."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    sent_at: datetime


Update = AssignmentUpserted | PodRemoved | SessionRenewed | EndpointKeys | SnapshotEnd | Heartbeat


@dataclass(frozen=True, slots=True)
class Held:
    """What an agent says when it (re)connects: it holds this session until then."""

    session_id: SessionId
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Hello:
    """How an agent opens its stream."""

    version: str
    held: tuple[Held, ...] = ()
    capabilities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a pod has, by a read of it that began after an agent had asked: see `Assignment`."""

    addresses: tuple[Address, ...] = ()
    started_at: datetime | None = None


class Resolution(enum.StrEnum):
    """What a server says of an address that an agent asked about."""

    KNOWN = "known"  # The stream has told, or is about to tell, which pod it is.
    UNKNOWN = "unknown"  # No pod of that node has it.
