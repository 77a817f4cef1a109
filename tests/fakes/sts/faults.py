"""What can go wrong between a caller and STS, as values that a test scripts."""

import enum
from dataclasses import dataclass, field
from typing import Final

from fakes.sts.refusal import RefusalError


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as STS itself would write it."""

    status: int
    code: str
    message: str = "scripted"

    def error(self) -> RefusalError:
        return RefusalError(self.status, self.code, self.message)


@dataclass(frozen=True, slots=True)
class Answer:
    """Any bytes at all, as some proxy on the way might send them."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Cut(enum.Enum):
    """An answer that does not arrive, or not whole."""

    DROPPED = "the connection ends without a byte"
    HEAD = "the connection ends inside the head"
    BODY = "the connection ends inside the body"
    SILENT = "nothing is ever sent"


DROPPED: Final = Cut.DROPPED
HEAD_CUT: Final = Cut.HEAD
BODY_CUT: Final = Cut.BODY
SILENT: Final = Cut.SILENT

Fault = Refusal | Answer | Cut


@dataclass(slots=True)
class Scripted:
    """A fault that waits for its call. *times* None means until it is taken back."""

    fault: Fault
    times: int | None
    role_arn: str | None

    def is_for(self, role_arn: str | None) -> bool:
        return self.role_arn is None or self.role_arn == role_arn

    def use(self) -> bool:
        """Count one use; tell whether more are left."""
        if self.times is not None:
            self.times -= 1
        return self.times is None or self.times > 0
