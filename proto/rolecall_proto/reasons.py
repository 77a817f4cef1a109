"""What each reason means, and what to do about it: the one place that says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rolecall_proto.values import Reason, State


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason tells an operator, a sentence or two each.

    *states* are those of a pod that has it; GRANTED where it is a remark on a pod that is served.
    """

    states: tuple[State, ...]
    meaning: str
    remedy: str


def _denied(meaning: str, remedy: str) -> Meaning:
    return Meaning((State.DENIED,), meaning, remedy)


def _pending(meaning: str, remedy: str) -> Meaning:
    return Meaning((State.PENDING,), meaning, remedy)


def _failed(meaning: str, remedy: str) -> Meaning:
    return Meaning((State.FAILED,), meaning, remedy)


def _remark(meaning: str, remedy: str) -> Meaning:
    return Meaning((State.GRANTED,), meaning, remedy)


MEANINGS: Mapping[Reason, Meaning] = MappingProxyType(
    {
        Reason.NO_ROLE: _denied(
            "The pod has no role: neither an annotation nor a default gives it one.",
            "Nothing, if it needs none. Else annotate it (of a Deployment: its template).",
        ),
        Reason.ROLE_MALFORMED: _denied(
            "The role annotation is no name, path or ARN of a role.",
            "Mend the annotation; the sentence in the log shows what is wrong with it.",
        ),
        Reason.EXTERNAL_ID_MALFORMED: _denied(
            "The external id is none that STS takes.", "Mend the annotation."
        ),
        Reason.EXTERNAL_ID_FORBIDDEN: _denied(
            "The pod chooses an external id, and pods may not.",
            "Remove the annotation, or set allowPodExternalId.",
        ),
        Reason.NAMESPACE_FORBIDS: Meaning(
            (State.DENIED, State.GRANTED),
            "The rules of the pod's namespace do not allow the role. With namespacePolicy: warn "
            "the pod is served all the same.",
            "Allow the role in the namespace's annotation, or take another role.",
        ),
        Reason.NAMESPACE_GONE: _denied(
            "The pod's namespace is no longer there.", "Nothing: the pod is about to go, too."
        ),
        Reason.ACCOUNT_FORBIDDEN: _denied(
            "The role is in an account that allowedAccounts does not name.",
            "Take a role of another account, or add the account.",
        ),
        Reason.MIRROR_POD: _denied(
            "The pod was written by its node, and not by the cluster.",
            "Run what needs a role as a DaemonSet, not as a static pod.",
        ),
        Reason.TAGS_INVALID: _denied(
            "A session tag has a value that STS would not take.",
            "Mend the label or annotation that the value comes from.",
        ),
        Reason.NAMESPACE_UNKNOWN: _pending(
            "The pod's namespace was not heard of yet, and its rules decide.",
            "Wait. If it lasts, look at rolecall_watch_fresh and the server's log.",
        ),
        Reason.CREDENTIALS_PENDING: _pending(
            "STS was asked, or is about to be.",
            "Wait. If it lasts, look at rolecall_sessions_overdue and rolecall_sts_calls_total.",
        ),
        Reason.STS_UNREACHABLE: _pending(
            "STS does not answer, or does not take the server's own credentials.",
            "Look at the server's log: way to STS, own credentials, clock. It asks on by itself.",
        ),
        Reason.ACCESS_DENIED: _failed(
            "STS refuses the role: its trust policy does not name the server, or it is not there.",
            "Let the role trust the server's; with session tags also sts:TagSession, with a "
            "source identity sts:SetSourceIdentity. It is asked for again by itself.",
        ),
        Reason.REQUEST_INVALID: _failed(
            "STS does not take the request, for its duration, name, tags or policies.",
            "Read STS's words in the log. Often the role's own maximum duration is shorter.",
        ),
        Reason.PACKED_POLICY_TOO_LARGE: _failed(
            "Session tags and policies are together larger than STS takes.",
            "Use fewer or shorter ones.",
        ),
        Reason.HOST_NETWORK_UNSUPPORTED: _remark(
            "The pod shares its node's network: the metadata endpoint cannot tell it apart from "
            "its neighbours, and is not served there.",
            "Have it ask at the container endpoint, by a token, or take it off the host network.",
        ),
        Reason.SESSION_NAME_IGNORED: _remark(
            "The pod chooses a session name, and pods may not.",
            "Remove the annotation, or set allowPodSessionName.",
        ),
        Reason.TAGS_IGNORED: _remark(
            "The pod sets session tags whose keys podTags does not name.",
            "Remove the annotations, or add the keys.",
        ),
        Reason.RULE_PARTLY_INVALID: _remark(
            "The namespace's rule has parts that cannot be read; the others count.",
            "Mend the rule; the log shows which part.",
        ),
        Reason.RULE_PERMITS_EVERYTHING: _remark(
            "The namespace's rule permits every role of every account.",
            "Write a narrower rule, unless that is what is meant.",
        ),
        Reason.BUG: Meaning(
            (State.DENIED, State.FAILED),
            "Something that nobody foresaw happened around this one object; all others are served.",
            "Report it, with the traceback in the server's log.",
        ),
    }
)
