"""What STS answers, read totally: a value, or MalformedAnswerError, whatever the bytes are."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from rolecall_common.secret import Secret
from rolecall_proto.values import Credentials
from rolecall_server.issuer import Issued

# AWS promises no greatest size of a token; tokens of 4 KiB exist, and an answer holds one.
MOST_BYTES = 64 * 1024

# AssumeRole's own bound of twelve hours, and room for clocks that differ.
_LONGEST = timedelta(hours=13)

_ACCESS_KEY_ID = re.compile(r"\w{16,128}", re.ASCII)
# They end in JSON documents and in headers: nothing but printable ASCII, and no quotes.
_SECRET = re.compile(r"[!#-\[\]-~]{1,32768}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_CALLER = re.compile(
    r"arn:(?P<partition>aws[a-z-]{0,20}):(?P<service>iam|sts)::(?P<account>\d{12}):"
    r"(?P<resource>[\x21-\x7e]{1,2048})",
    re.ASCII,
)


class MalformedAnswerError(Exception):
    """The answer is not what STS writes: cut short, a proxy's, or something else's."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who the server itself is, by GetCallerIdentity."""

    arn: str
    account: str
    partition: str

    @property
    def base_arn(self) -> str:
        """The prefix of roles in the server's own account."""
        return f"arn:{self.partition}:iam::{self.account}:role/"

    @property
    def is_role(self) -> bool:
        """Whether it is a role's session, so that what it issues is chained: one hour at most."""
        return ":assumed-role/" in self.arn


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error document of STS. *message* may quote the request: it is not to be shown as is."""

    code: str
    message: str
    request_id: str


def read_session(body: bytes, asked_at: datetime) -> Issued:
    """Return what AssumeRole issued. Raises MalformedAnswerError."""
    root = _parse(body, "AssumeRoleResponse")
    result = _child(root, "AssumeRoleResult")
    fields = _texts(_child(result, "Credentials"))
    ends = _moment(fields.get("Expiration", ""))
    if not asked_at < ends <= asked_at + _LONGEST:
        raise MalformedAnswerError(
            f"credentials that end at {ends:%Y-%m-%dT%H:%M:%SZ}, asked for at "
            f"{asked_at:%Y-%m-%dT%H:%M:%SZ} by this machine's clock"
        )
    return Issued(
        Credentials(
            access_key_id=_matching(_ACCESS_KEY_ID, fields, "AccessKeyId"),
            secret_access_key=Secret(_matching(_SECRET, fields, "SecretAccessKey")),
            session_token=Secret(_matching(_SECRET, fields, "SessionToken")),
            issued_at=asked_at,
            expires_at=ends,
        ),
        request_id=_request_id(root),
        packed_policy_percent=_packed(_texts(result)),
    )


def read_caller(body: bytes) -> Caller:
    """Return who GetCallerIdentity says we are. Raises MalformedAnswerError."""
    root = _parse(body, "GetCallerIdentityResponse")
    fields = _texts(_child(root, "GetCallerIdentityResult"))
    found = _CALLER.fullmatch(fields.get("Arn", ""))
    if found is None:
        raise MalformedAnswerError("no ARN of a caller")
    return Caller(found[0], found["account"], found["partition"])


def read_complaint(body: bytes) -> Complaint:
    """Return what STS complains about. Raises MalformedAnswerError."""
    root = _parse(body, "ErrorResponse")
    fields = _texts(_child(root, "Error"))
    code = fields.get("Code", "")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9.]{0,99}", code):
        raise MalformedAnswerError("an error without a code")
    return Complaint(code, fields.get("Message", ""), _request_id(root))


def _parse(body: bytes, expected: str) -> ET.Element:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise MalformedAnswerError("not UTF-8") from None
    # STS writes no declarations, comments or CDATA. Without them there are no entities either,
    # and that is what makes the standard parser safe here.
    if "<!" in text:
        raise MalformedAnswerError("XML with a declaration")
    try:
        root = ET.fromstring(text)  # noqa: S314 (see above: no entities, bounded size)
    except (ET.ParseError, ValueError):
        raise MalformedAnswerError("not XML") from None
    if _name(root) != expected:
        raise MalformedAnswerError(f"a document other than {expected}")
    return root


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _child(element: ET.Element, name: str) -> ET.Element:
    for child in element:
        if _name(child) == name:
            return child
    raise MalformedAnswerError(f"{name} is missing")


def _texts(element: Iterable[ET.Element]) -> dict[str, str]:
    return {_name(child): child.text or "" for child in element}


def _matching(pattern: re.Pattern[str], fields: dict[str, str], name: str) -> str:
    text = fields.get(name, "")
    if not pattern.fullmatch(text):
        raise MalformedAnswerError(f"{name} is missing or odd")
    return text


def _moment(text: str) -> datetime:
    if not _MOMENT.fullmatch(text):
        raise MalformedAnswerError("Expiration is missing or odd")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedAnswerError("Expiration is not a moment") from None


def _packed(fields: dict[str, str]) -> int | None:
    # The first is deprecated in favour of the second (service model of 2026-06).
    text = fields.get("PackedPolicySize") or fields.get("SessionTokenUtilization") or ""
    return int(text) if re.fullmatch(r"\d{1,6}", text, re.ASCII) else None


def _request_id(root: ET.Element) -> str:
    """Return the request id, or "" where there is none: only the audit record misses it."""
    fields = _texts(root)
    for child in root:
        if _name(child) == "ResponseMetadata":
            fields.update(_texts(child))
    text = fields.get("RequestId", "")
    return text if re.fullmatch(r"[\w-]{1,128}", text, re.ASCII) else ""
