"""What STS replies, read totally: a value, or a named failure, whatever the bytes are.

The documents are flat enough to be read as what they are: a root, and leaves whose names are
unique. An XML parser would take a fifth of the processor time of the whole call, and brings
entities, which are only ever used for attacks.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from html import unescape
from typing import TypeVar

from rolecall_common.secret import Secret
from rolecall_proto.values import Credentials
from rolecall_server.model.issuer import (
    Issued,
    IssueError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from rolecall_server.sts.error_codes import REFUSALS, CallError, CallOutcome, classify
from rolecall_server.sts.own_credentials import OwnCredentials
from rolecall_server.sts.transport import Reply

_T = TypeVar("_T")
_OK = 200

# AssumeRole's own bound of twelve hours, and room for clocks that differ.
_LONGEST = timedelta(hours=13)

_ACCESS_KEY_ID = re.compile(r"\w{16,128}", re.ASCII)
# They end in JSON documents and in headers: printable ASCII, no quotes, and no entity of XML.
_SECRET = re.compile(r"[!#-%'-\[\]-~]{1,32768}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_LEAF = re.compile(r"<([A-Za-z]\w{0,63})>([^<>]*)</\1>", re.ASCII)
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,99}", re.ASCII)
_PERCENT = re.compile(r"\d{1,6}", re.ASCII)
_REQUEST_ID = re.compile(r"[\w-]{1,128}", re.ASCII)
_CALLER = re.compile(r"arn:aws[a-z-]{0,20}:(iam|sts)::\d{12}:[\x21-\x7e]{1,2048}", re.ASCII)


class MalformedReplyError(Exception):
    """The answer is not what STS writes: cut short, a proxy's, or something else's."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who the server itself is, by GetCallerIdentity."""

    arn: str

    @property
    def is_role(self) -> bool:
        """Whether it is a role's session, so that what it issues is chained: one hour at most."""
        return ":assumed-role/" in self.arn


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error document of STS. *message* may quote the request: it is not to be shown as is."""

    code: str
    message: str


def read_reply(
    reply: Reply, keys: OwnCredentials, asked_at: datetime, read: Callable[[bytes], _T]
) -> _T:
    """Return what *read* makes of a good reply. Raises CallError."""
    try:
        if reply.status == _OK:
            return read(reply.body)
        reported = read_error(reply.body)
    except MalformedReplyError as error:
        outcome = _unreadable(reply.status)
        raise CallError(outcome, f"no answer of STS (HTTP {reply.status}): {error}") from error
    outcome = classify(reply.status, reported.code, reported.message)
    raise CallError(outcome, _explanation(outcome, reported, reply, keys, asked_at))


def as_issue_error(error: CallError) -> IssueError:
    """Return the issuer's error for *error*, own credentials aside: they are renewed first."""
    if (reason := REFUSALS.get(error.outcome)) is not None:
        return RefusedError(reason, error.explanation)
    if error.outcome is CallOutcome.THROTTLED:
        return ThrottledError(error.explanation)
    return UnavailableError(error.explanation)


def read_session(body: bytes, asked_at: datetime) -> Issued:
    """Return what AssumeRole issued. Raises MalformedReplyError."""
    leaves = _leaves(body, "AssumeRoleResponse")
    return Issued(
        Credentials(
            access_key_id=_matching(_ACCESS_KEY_ID, leaves, "AccessKeyId"),
            secret_access_key=Secret(_matching(_SECRET, leaves, "SecretAccessKey")),
            session_token=Secret(_matching(_SECRET, leaves, "SessionToken")),
            issued_at=asked_at,
            expires_at=_end(_matching(_MOMENT, leaves, "Expiration"), asked_at),
        ),
        request_id=_request_id(leaves),
        packed_policy_percent=_packed(leaves),
    )


def read_caller(body: bytes) -> Caller:
    """Return who GetCallerIdentity says we are. Raises MalformedReplyError."""
    leaves = _leaves(body, "GetCallerIdentityResponse")
    found = _CALLER.fullmatch(leaves.get("Arn", ""))
    if found is None:
        raise MalformedReplyError("no ARN of a caller")
    return Caller(found[0])


def read_error(body: bytes) -> ErrorReply:
    """Return what error STS reports. Raises MalformedReplyError."""
    leaves = _leaves(body, "ErrorResponse")
    code = _matching(_CODE, leaves, "Code")
    return ErrorReply(code, unescape(leaves.get("Message", "")))


def _leaves(body: bytes, root: str) -> dict[str, str]:
    """Return the text of every element without children, by name."""
    try:
        text = body.decode().strip()
    except UnicodeDecodeError:
        raise MalformedReplyError("not UTF-8") from None
    if text.startswith("<?xml"):
        text = text.partition("?>")[2].lstrip()
    if not text.startswith((f"<{root} ", f"<{root}>")) or not text.endswith(f"</{root}>"):
        raise MalformedReplyError(f"not a whole {root}")
    found: list[tuple[str, str]] = _LEAF.findall(text)
    leaves = dict(found)
    if len(leaves) != len(found):
        raise MalformedReplyError("an element occurs twice")
    return leaves


def _matching(pattern: re.Pattern[str], leaves: dict[str, str], name: str) -> str:
    text = leaves.get(name, "")
    if not pattern.fullmatch(text):
        raise MalformedReplyError(f"{name} is missing or odd")
    return text


def _end(text: str, asked_at: datetime) -> datetime:
    try:
        ends = datetime.fromisoformat(text)
    except ValueError:
        raise MalformedReplyError("Expiration is not a moment") from None
    if not asked_at < ends <= asked_at + _LONGEST:
        raise MalformedReplyError(
            f"credentials that end at {text}, asked for at {asked_at:%Y-%m-%dT%H:%M:%SZ} "
            "by this machine's clock"
        )
    return ends


def _packed(leaves: dict[str, str]) -> int | None:
    # The first is deprecated in favour of the second (service model of 2026-06).
    text = leaves.get("PackedPolicySize") or leaves.get("SessionTokenUtilization") or ""
    return int(text) if _PERCENT.fullmatch(text) else None


def _request_id(leaves: dict[str, str]) -> str:
    """Return the request id, or "" where there is none: only the audit record misses it."""
    text = leaves.get("RequestId", "")
    return text if _REQUEST_ID.fullmatch(text) else ""


def _unreadable(status: int) -> CallOutcome:
    """Return what a reply means that STS did not write, or not whole: never a refusal."""
    if status == 429:  # noqa: PLR2004 (Too Many Requests, by a proxy on the way)
        return CallOutcome.THROTTLED
    return CallOutcome.UNAVAILABLE if status >= 500 else CallOutcome.MALFORMED  # noqa: PLR2004


def _explanation(
    outcome: CallOutcome,
    reported: ErrorReply,
    reply: Reply,
    keys: OwnCredentials,
    asked_at: datetime,
) -> str:
    if outcome in REFUSALS:
        return f"{reported.code}: {_shown(reported.message, keys)}"
    if outcome is CallOutcome.CLOCK_SKEW:
        return _skew(reply.date, asked_at)
    if outcome is CallOutcome.OWN_CREDENTIALS:
        # Its message may quote the signed request, session token and all.
        return f"STS does not take the server's own credentials ({reported.code})"
    return f"STS said {reported.code} (HTTP {reply.status})"


def _shown(message: str, keys: OwnCredentials) -> str:
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
