"""What STS answers, read totally: a value, or MalformedAnswerError, whatever the bytes are."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
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
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,99}", re.ASCII)
_PERCENT = re.compile(r"\d{1,6}", re.ASCII)
_REQUEST_ID = re.compile(r"[\w-]{1,128}", re.ASCII)
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


def read_session(body: bytes, asked_at: datetime) -> Issued:
    """Return what AssumeRole issued. Raises MalformedAnswerError."""
    root, space = _parse(body, "AssumeRoleResponse")
    result = _child(root, space, "AssumeRoleResult")
    given = _child(result, space, "Credentials")
    return Issued(
        Credentials(
            access_key_id=_matching(_ACCESS_KEY_ID, given, space, "AccessKeyId"),
            secret_access_key=Secret(_matching(_SECRET, given, space, "SecretAccessKey")),
            session_token=Secret(_matching(_SECRET, given, space, "SessionToken")),
            issued_at=asked_at,
            expires_at=_end(_matching(_MOMENT, given, space, "Expiration"), asked_at),
        ),
        request_id=_request_id(root, space),
        packed_policy_percent=_packed(result, space),
    )


def read_caller(body: bytes) -> Caller:
    """Return who GetCallerIdentity says we are. Raises MalformedAnswerError."""
    root, space = _parse(body, "GetCallerIdentityResponse")
    result = _child(root, space, "GetCallerIdentityResult")
    found = _CALLER.fullmatch(result.findtext(f"{space}Arn") or "")
    if found is None:
        raise MalformedAnswerError("no ARN of a caller")
    return Caller(found[0], found["account"], found["partition"])


def read_complaint(body: bytes) -> Complaint:
    """Return what STS complains about. Raises MalformedAnswerError."""
    root, space = _parse(body, "ErrorResponse")
    error = _child(root, space, "Error")
    code = _matching(_CODE, error, space, "Code")
    return Complaint(code, error.findtext(f"{space}Message") or "")


def _parse(body: bytes, expected: str) -> tuple[ET.Element, str]:
    """Return the root, and the name space as it stands before each tag."""
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
    space, brace, name = root.tag.rpartition("}")
    if name != expected:
        raise MalformedAnswerError(f"a document other than {expected}")
    return root, space + brace


def _child(element: ET.Element, space: str, name: str) -> ET.Element:
    child = element.find(space + name)
    if child is None:
        raise MalformedAnswerError(f"{name} is missing")
    return child


def _matching(pattern: re.Pattern[str], element: ET.Element, space: str, name: str) -> str:
    text = element.findtext(space + name) or ""
    if not pattern.fullmatch(text):
        raise MalformedAnswerError(f"{name} is missing or odd")
    return text


def _end(text: str, asked_at: datetime) -> datetime:
    try:
        ends = datetime.fromisoformat(text)
    except ValueError:
        raise MalformedAnswerError("Expiration is not a moment") from None
    if not asked_at < ends <= asked_at + _LONGEST:
        raise MalformedAnswerError(
            f"credentials that end at {text}, asked for at {asked_at:%Y-%m-%dT%H:%M:%SZ} "
            "by this machine's clock"
        )
    return ends


def _packed(result: ET.Element, space: str) -> int | None:
    # The first is deprecated in favour of the second (service model of 2026-06).
    for name in ("PackedPolicySize", "SessionTokenUtilization"):
        if _PERCENT.fullmatch(text := result.findtext(space + name) or ""):
            return int(text)
    return None


def _request_id(root: ET.Element, space: str) -> str:
    """Return the request id, or "" where there is none: only the audit record misses it."""
    metadata = root.find(f"{space}ResponseMetadata")
    text = "" if metadata is None else metadata.findtext(f"{space}RequestId") or ""
    return text if _REQUEST_ID.fullmatch(text) else ""
