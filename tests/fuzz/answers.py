"""Reads what the endpoint sends, by the letter of HTTP/1.1 and by nothing of the endpoint's."""

import re
from dataclasses import dataclass

from fuzz.wire import BrokenRuleError

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [ -~]+")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([!-~](?:[ -~]*[!-~])?)")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; the names of *fields* are in small letters."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes

    @property
    def is_last(self) -> bool:
        return self.fields.get(b"connection") == b"close"


def read(data: bytes, *, to_head: bool) -> tuple[Answer, bytes]:
    """Read one answer from the beginning of *data*; return what is left.

    *to_head* says that it answers a HEAD, and has no body whatever its length says. Raises
    BrokenRuleError where it is not one whole, well-formed answer.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(line)
    if not end or status is None:
        raise BrokenRuleError(f"no head of an answer: {data[:80]!r}")
    fields = _fields(lines)
    length = fields.get(b"content-length", b"")
    if not length.isdigit():
        raise BrokenRuleError("an answer without a length")
    size = 0 if to_head else int(length)
    if len(rest) < size:
        raise BrokenRuleError("an answer in pieces")
    return Answer(int(status[1]), fields, rest[:size]), rest[size:]


def _fields(lines: list[bytes]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None or field[1].lower() in fields:
            raise BrokenRuleError(f"not a header line, or a second one: {line!r}")
        fields[field[1].lower()] = field[2]
    return fields
