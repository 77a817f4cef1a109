"""Roles: how they may be written, what they resolve to, and how a pod sees them."""

import re
from dataclasses import dataclass

from rolecall_common.quoting import quoted

PARTITIONS = (
    "aws",
    "aws-cn",
    "aws-us-gov",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-iso-f",
    "aws-eusc",
)
_PARTITION = "|".join(PARTITIONS)
_LONGEST_PATH = 512  # IAM's limit, both slashes included.
_LONGEST_NAME = 64  # IAM's limit for the name of a role.
_BLANKS = " \t"

_ARN = re.compile(
    rf"arn:(?P<partition>{_PARTITION}):iam::(?P<account>[0-9]{{12}}):role/(.*)", re.DOTALL
)
# What IAM allows in a path: everything printable. In a name: letters, digits and a few marks.
_SEGMENT = re.compile(r"[!-.0-~]+")
_ROLE_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]+")
_BASE = re.compile(rf"arn:({_PARTITION}):iam::[0-9]{{12}}:role(/[!-~]*)?")
_CALLER = re.compile(rf"arn:({_PARTITION}):(?:iam|sts)::([0-9]{{12}}):.+")


@dataclass(frozen=True, slots=True)
class Malformed:
    """A text that is no role; *why* is one sentence for whoever wrote it."""

    why: str


@dataclass(frozen=True, slots=True)
class RoleArn:
    """The ARN of an IAM role, checked: two that are equal are the same role."""

    text: str
    account: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "RoleArn | Malformed":
        """Read *text* strictly; `arn` itself may be in any case. Raises nothing."""
        return _read(text, said=text)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class BaseArn:
    """What is put before a short name; a literal prefix, with or without a slash at its end."""

    prefix: str

    @classmethod
    def parse(cls, text: str) -> "BaseArn":
        """Read the setting; `…:role` gets its slash. Raises ValueError."""
        if not _BASE.fullmatch(text) or _has_strange_path(text.partition(":role/")[2]):
            raise ValueError("no role's ARN begins so")
        return cls(text + "/" if text.endswith(":role") else text)

    @classmethod
    def of_caller(cls, caller: str) -> "BaseArn":
        """Return the base of the account of *caller*, an ARN as GetCallerIdentity says it.

        Raises ValueError where it is none.
        """
        found = _CALLER.fullmatch(caller)
        if not found:
            raise ValueError(f"{quoted(caller)} is not the ARN of a user or role")
        return cls(f"arn:{found[1]}:iam::{found[2]}:role/")

    def rest_of(self, role: RoleArn) -> str | None:
        """Return what follows the base in *role*'s ARN, or None where it is not under the base."""
        rest = role.text.removeprefix(self.prefix)
        return rest if rest != role.text else None


def resolve(text: str, base: BaseArn | None) -> RoleArn | Malformed:
    """Return the role that *text* means: a name, a path and a name, or an ARN. Raises nothing."""
    wanted = text.strip(_BLANKS)
    if wanted[:4].lower() == "arn:":
        return RoleArn.parse(wanted)
    short = wanted.removeprefix("/")
    if not short or short.startswith("/"):
        return Malformed(f"{quoted(text)} has an empty part between its slashes")
    if base is None:
        return Malformed(f"{quoted(text)} is a short name, and there is no base ARN for those")
    return _read(base.prefix + short, said=text)


def shown(role: RoleArn, base: BaseArn | None) -> str:
    """Return *role* as its pod sees it: without the base where it is under it, else its ARN.

    `resolve` leads back from there to the same role.
    """
    rest = base.rest_of(role) if base else None
    if rest and resolve(rest, base) == role:
        return rest
    return role.text


def _read(text: str, said: str) -> RoleArn | Malformed:
    arn = "arn" + text[3:] if text[:3].lower() == "arn" else text
    found = _ARN.fullmatch(arn)
    if not found:
        return Malformed(
            f"{quoted(said)} is not arn:PARTITION:iam::ACCOUNT:role/NAME with a partition of AWS "
            "and an account of twelve digits"
        )
    *path, name = found[3].split("/")
    fault = _fault_of_path(path) or _fault_of_name(name)
    if fault:
        return Malformed(f"{quoted(said)} {fault}")
    return RoleArn(arn, found["account"], name)


def _fault_of_path(path: list[str]) -> str | None:
    if sum(len(segment) + 1 for segment in path) + 1 > _LONGEST_PATH:
        return f"has a path of more than {_LONGEST_PATH} characters"
    for segment in path:
        if not segment:
            return "has an empty part between its slashes"
        if not _SEGMENT.fullmatch(segment):
            return "has a character in its path that IAM does not allow"
    return "has . or .. as a part of its path" if _dotted(path) else None


def _fault_of_name(name: str) -> str | None:
    if not name:
        return "ends without a name"
    if len(name) > _LONGEST_NAME:
        return f"has a name of more than {_LONGEST_NAME} characters"
    if not _ROLE_NAME.fullmatch(name) or _dotted([name]):
        return "has a character in its name that IAM does not allow"
    return None


def _dotted(parts: list[str]) -> bool:
    # IAM takes them, but on the way to a pod they are read as folders and taken out.
    return any(part in {".", ".."} for part in parts)


def _has_strange_path(path: str) -> bool:
    return (
        len(path) >= _LONGEST_PATH
        or "//" in path
        or path.startswith("/")
        or _dotted(path.split("/"))
    )
