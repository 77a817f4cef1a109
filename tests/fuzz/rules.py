"""What the metadata endpoint may say to whom: an answer, held against what is true by then."""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from fuzz.answers import Answer
from fuzz.wire import BrokenRuleError
from fuzz.world import TOLD, Entitlement, World
from rolecall_agent.metadata.documents import role_document
from rolecall_agent.metadata.items import FOLDERS
from rolecall_proto.values import Address

ROLES = b"/meta-data/iam/security-credentials"
_REQUEST_LINE = re.compile(rb"(GET|HEAD|PUT) (/[!-~]*) HTTP/1\.[01]")
_STATUSES = frozenset({200, 400, 401, 403, 404, 405, 503})
_TOKEN, _TTL = b"x-aws-ec2-metadata-token", b"x-aws-ec2-metadata-token-ttl-seconds"
_LONGEST_LIFE = 21600  # seconds; EC2's own limit
_TOKEN_LENGTH = 56  # characters, as EC2's
# What is in no answer but a document.
_SECRET = b"secret-of-"
# What listings hold besides folders; nothing else of the node has a name.
_LEAVES = frozenset(
    {"availability-zone", "availability-zone-id", "region", "instance-id", "instance-type"}
    | {"domain", "partition", "document", "info", "security-credentials", "latest", "1.0", ""}
)
_NAMES = _LEAVES | {part for folder in FOLDERS for part in folder.split("/")}


@dataclass(frozen=True, slots=True)
class Case:
    """One answer, and what it was given to. *head* is None where no whole one had come."""

    address: Address
    head: bytes | None
    answer: Answer
    data: bytes
    now: datetime


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is served, read in the plainest way."""

    method: bytes
    path: bytes
    fields: list[tuple[bytes, bytes]]

    def values(self, name: bytes) -> list[bytes]:
        return [value for each, value in self.fields if each == name]


def judge(world: World, case: Case) -> None:
    """Raise BrokenRuleError where *case* may not be."""
    status = case.answer.status
    if status not in _STATUSES:
        raise BrokenRuleError(f"a status of its own: {status}")
    if case.head is None and status != 400:
        raise BrokenRuleError("an answer that nobody has asked for")
    is_document = status == 200 and case.head is not None and _served(world, case, case.head)
    if _SECRET in case.data and not is_document:
        raise BrokenRuleError("a secret where none belongs")


def _served(world: World, case: Case, head: bytes) -> bool:
    """Judge what is served; return whether it is the document of credentials."""
    asked = _read(head)
    if asked.method == b"PUT":
        _judge_token(world, case, asked)
        return False
    shown = asked.values(_TOKEN)
    if len(shown) > 1:
        raise BrokenRuleError("served on two tokens")
    if not all(world.is_good(case.address, token, case.now) for token in shown):
        raise BrokenRuleError("served on a token that is none of this pod's")
    if b"/iam/" not in asked.path or asked.path.endswith(b"/iam/"):
        _judge_item(case.answer)
        return False
    entitled = world.entitlement(case.address, case.now)
    if entitled is None:
        raise BrokenRuleError("an address is served that nothing is granted to")
    if entitled.needs_token and not shown:
        raise BrokenRuleError("served without the token that is required")
    return asked.method == b"GET" and _judge_role(asked.path, case.answer.body, entitled)


def _read(head: bytes) -> _Asked:
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    asked = _REQUEST_LINE.fullmatch(first)
    if asked is None:
        raise BrokenRuleError(f"served on {first[:80]!r}")
    pairs = (line.partition(b":") for line in lines)
    fields = [(name.lower(), value.strip(b" \t")) for name, _, value in pairs]
    return _Asked(asked[1], asked[2].partition(b"?")[0], fields)


def _judge_token(world: World, case: Case, asked: _Asked) -> None:
    wished = asked.values(_TTL)
    if not asked.path.endswith(b"/latest/api/token") or len(wished) != 1:
        raise BrokenRuleError("a token that was not asked for")
    if asked.values(b"x-forwarded-for"):
        raise BrokenRuleError("a token for somebody behind a proxy")
    lasts, token = int(case.answer.fields[_TTL]), case.answer.body
    if not 1 <= lasts <= _LONGEST_LIFE or lasts != int(wished[0]) or len(token) != _TOKEN_LENGTH:
        raise BrokenRuleError("a token that is none")
    world.gave(case.address, token, case.now + timedelta(seconds=lasts))


def _judge_role(path: bytes, body: bytes, entitled: Entitlement) -> bool:
    if path.endswith(b"/iam/info"):
        if json.loads(body)["InstanceProfileArn"].split("/")[-1] != entitled.role:
            raise BrokenRuleError("the profile of another role")
        return False
    if path.endswith((ROLES, ROLES + b"/")):
        if body != entitled.role.encode():
            raise BrokenRuleError("the name of another role")
        return False
    if body != role_document(entitled.session):
        raise BrokenRuleError("the credentials of another session")
    return True


def _judge_item(answer: Answer) -> None:
    listed = {line.strip("/") for line in answer.body.decode().split("\n")}
    if answer.body != TOLD and listed - _NAMES:
        raise BrokenRuleError(f"of the node is told {answer.body[:80]!r}")
