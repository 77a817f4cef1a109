"""What an error of STS means for whoever asked: one table, from its code."""

import enum

from rolecall_proto.values import Reason


class CallOutcome(enum.StrEnum):
    """How a call ended, as the metric counts it: a closed list."""

    OK = "ok"
    ACCESS_DENIED = "access_denied"
    INVALID = "invalid"
    PACKED_POLICY_TOO_LARGE = "packed_policy_too_large"
    THROTTLED = "throttled"
    OWN_CREDENTIALS = "own_credentials"
    CLOCK_SKEW = "clock_skew"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    NETWORK = "network"
    MALFORMED = "malformed"


class CallError(Exception):
    """A call that brought nothing, and why: for the metric and for the operator."""

    def __init__(self, outcome: CallOutcome, explanation: str) -> None:
        super().__init__(explanation)
        self.outcome = outcome
        self.explanation = explanation


REFUSALS = {
    CallOutcome.ACCESS_DENIED: Reason.ACCESS_DENIED,
    CallOutcome.INVALID: Reason.REQUEST_INVALID,
    CallOutcome.PACKED_POLICY_TOO_LARGE: Reason.PACKED_POLICY_TOO_LARGE,
}

_TABLE = {
    CallOutcome.ACCESS_DENIED: ("AccessDenied", "AccessDeniedException", "NotAuthorized"),
    CallOutcome.PACKED_POLICY_TOO_LARGE: ("PackedPolicyTooLarge", "PackedPolicyTooLargeException"),
    CallOutcome.THROTTLED: (
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "SlowDown",
    ),
    CallOutcome.OWN_CREDENTIALS: (
        "ExpiredToken",
        "ExpiredTokenException",
        "TokenRefreshRequired",
        "InvalidClientTokenId",
        "InvalidToken",
        "InvalidAccessKeyId",
        "UnrecognizedClientException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "AuthFailure",
    ),
    CallOutcome.CLOCK_SKEW: (
        "RequestExpired",
        "RequestTimeTooSkewed",
        "RequestInTheFuture",
    ),
    # They concern the whole account or the service, and no identity in particular.
    CallOutcome.UNAVAILABLE: (
        "RegionDisabledException",
        "OptInRequired",
        "SubscriptionRequiredException",
        "InternalFailure",
        "InternalError",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "RequestTimeout",
        "RequestTimeoutException",
    ),
}
_BY_CODE = {code: outcome for outcome, codes in _TABLE.items() for code in codes}

# How both kinds of SignatureDoesNotMatch begin that are about the date and not about the key.
_SKEWED = ("Signature expired", "Signature not yet current")


def classify(status: int, code: str, message: str) -> CallOutcome:
    """Return what the error means. Unknown ones go by their status."""
    if message.startswith(_SKEWED):
        return CallOutcome.CLOCK_SKEW
    if (known := _BY_CODE.get(code)) is not None:
        return known
    if status == 429:  # noqa: PLR2004 (Too Many Requests)
        return CallOutcome.THROTTLED
    if status >= 500:  # noqa: PLR2004 (the server's fault)
        return CallOutcome.UNAVAILABLE
    return CallOutcome.ACCESS_DENIED if status == 403 else CallOutcome.INVALID  # noqa: PLR2004 (Forbidden)
