"""From a reply to a value or a named failure, and from the failure to the issuer's errors."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from rolecall_server.model.issuer import IssueError, RefusedError, ThrottledError, UnavailableError
from rolecall_server.sts.answers import Complaint, MalformedAnswerError, read_complaint
from rolecall_server.sts.error_codes import REFUSALS, CallError, Outcome, judge
from rolecall_server.sts.own_credentials import OwnKeys
from rolecall_server.sts.transport import Reply

_T = TypeVar("_T")
_OK = 200


def check(reply: Reply, keys: OwnKeys, asked_at: datetime, read: Callable[[bytes], _T]) -> _T:
    """Return what *read* makes of a good reply. Raises CallError."""
    try:
        if reply.status == _OK:
            return read(reply.body)
        complaint = read_complaint(reply.body)
    except MalformedAnswerError as error:
        outcome = _unreadable(reply.status)
        raise CallError(outcome, f"no answer of STS (HTTP {reply.status}): {error}") from error
    outcome = judge(reply.status, complaint.code, complaint.message)
    raise CallError(outcome, _explanation(outcome, complaint, reply, keys, asked_at))


def as_issue_error(error: CallError) -> IssueError:
    """Return the issuer's error for *error*, own credentials aside: they are renewed first."""
    if (reason := REFUSALS.get(error.outcome)) is not None:
        return RefusedError(reason, error.explanation)
    if error.outcome is Outcome.THROTTLED:
        return ThrottledError(error.explanation)
    return UnavailableError(error.explanation)


def _unreadable(status: int) -> Outcome:
    """Return what a reply means that STS did not write, or not whole: never a refusal."""
    if status == 429:  # noqa: PLR2004 (Too Many Requests, by a proxy on the way)
        return Outcome.THROTTLED
    return Outcome.UNAVAILABLE if status >= 500 else Outcome.MALFORMED  # noqa: PLR2004


def _explanation(
    outcome: Outcome, complaint: Complaint, reply: Reply, keys: OwnKeys, asked_at: datetime
) -> str:
    if outcome in REFUSALS:
        return f"{complaint.code}: {_shown(complaint.message, keys)}"
    if outcome is Outcome.CLOCK_SKEW:
        return _skew(reply.date, asked_at)
    if outcome is Outcome.OWN_CREDENTIALS:
        # Its message may quote the signed request, session token and all.
        return f"STS does not take the server's own credentials ({complaint.code})"
    return f"STS said {complaint.code} (HTTP {reply.status})"


def _shown(message: str, keys: OwnKeys) -> str:
    """Return *message* fit for a log and an Event: one short line without our keys."""
    for secret in (keys.secret_access_key, keys.session_token):
        if secret is not None:
            message = message.replace(secret.reveal(), "…")
    printable = "".join(char if char.isprintable() else " " for char in message)
    return " ".join(printable.split())[:400]


def _skew(date: str, asked_at: datetime) -> str:
    try:
        theirs = parsedate_to_datetime(date)
    except (ValueError, OverflowError):  # Some year, or zone, that no date can have.
        return "this machine's clock differs from STS's by more than it accepts"
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    ahead = round((asked_at - theirs).total_seconds())
    side = "ahead of" if ahead > 0 else "behind"
    return f"this machine's clock is {abs(ahead)} s {side} STS's, more than it accepts"
