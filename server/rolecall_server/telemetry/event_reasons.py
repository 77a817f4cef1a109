"""Which of the reasons become an Event on the pod, and what such an Event is called."""

import enum
from collections.abc import Mapping
from types import MappingProxyType

from rolecall_proto.values import Reason


class EventReason(enum.StrEnum):
    """What an Event is called; the last two are kiam's words."""

    ROLE_DENIED = "RoleDenied"
    ROLE_MALFORMED = "RoleMalformed"
    ROLE_NOT_ASSUMABLE = "RoleNotAssumable"
    HOST_NETWORK_UNSUPPORTED = "HostNetworkUnsupported"
    KIAM_ROLE_FORBIDDEN = "KiamRoleForbidden"
    KIAM_CREDENTIAL_ERROR = "KiamCredentialError"


class Dropped(enum.StrEnum):
    """Why there is no Event, or no later count of one, of something that happened."""

    POD_BUDGET = "pod_budget"  # This one pod has had its share.
    QUEUE_FULL = "queue_full"
    SUPERSEDED = "superseded"  # The pod has a newer cause of the same kind.
    NAMESPACE_GONE = "namespace_gone"
    FORBIDDEN = "forbidden"
    REJECTED = "rejected"


_DENIED, _MALFORMED = EventReason.ROLE_DENIED, EventReason.ROLE_MALFORMED

# Every reason is here. None: the pod is served, or only waits, or there is nothing that whoever
# owns it could do. Where the pod is served an Event of type Warning would cry wolf: the remark is
# in the log and the metric. The pod on the host network is the exception: its role is granted, and
# its SDK gets nothing all the same.
EVENT_REASONS: Mapping[Reason, EventReason | None] = MappingProxyType(
    {
        Reason.NO_ROLE: None,
        Reason.ROLE_MALFORMED: _MALFORMED,
        Reason.EXTERNAL_ID_MALFORMED: _MALFORMED,
        Reason.EXTERNAL_ID_FORBIDDEN: _DENIED,
        Reason.NAMESPACE_FORBIDS: _DENIED,
        Reason.NAMESPACE_GONE: None,  # Nobody could read it there.
        Reason.ACCOUNT_FORBIDDEN: _DENIED,
        Reason.MIRROR_POD: _DENIED,
        Reason.TAGS_INVALID: _MALFORMED,
        Reason.NAMESPACE_UNKNOWN: None,
        Reason.CREDENTIALS_PENDING: None,
        Reason.STS_UNREACHABLE: None,
        Reason.ACCESS_DENIED: EventReason.ROLE_NOT_ASSUMABLE,
        Reason.REQUEST_INVALID: EventReason.ROLE_NOT_ASSUMABLE,
        Reason.PACKED_POLICY_TOO_LARGE: EventReason.ROLE_NOT_ASSUMABLE,
        Reason.HOST_NETWORK_UNSUPPORTED: EventReason.HOST_NETWORK_UNSUPPORTED,
        Reason.SESSION_NAME_IGNORED: None,
        Reason.TAGS_IGNORED: None,
        Reason.RULE_PARTLY_INVALID: None,
        Reason.RULE_PERMITS_EVERYTHING: None,
        Reason.BUG: _DENIED,
    }
)

# kiam has no word for the host network.
KIAM_WORDS: Mapping[EventReason, EventReason] = MappingProxyType(
    {
        EventReason.ROLE_DENIED: EventReason.KIAM_ROLE_FORBIDDEN,
        EventReason.ROLE_MALFORMED: EventReason.KIAM_ROLE_FORBIDDEN,
        EventReason.ROLE_NOT_ASSUMABLE: EventReason.KIAM_CREDENTIAL_ERROR,
    }
)
