"""Responses as bytes: head and body in one piece."""

from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

from rolecall_agent.http.times import http_date
from rolecall_common.secret import NotPickled

_CLOSE = b"Connection: close\r\n"


@dataclass(frozen=True, slots=True)
class Response(NotPickled):
    """One response, ready but for the date; *fields* are whole header lines."""

    status: HTTPStatus
    fields: bytes = b""
    body: bytes = field(default=b"", repr=False)  # A document, or a token.

    def rendered(self, date_line: bytes, *, close: bool, with_body: bool) -> bytes:
        """Return all of it, with *date_line* among the headers. HEAD is told the body's length."""
        return b"HTTP/1.1 %d %s\r\nServer: EC2ws\r\n%s%s%sContent-Length: %d\r\n\r\n%s" % (
            self.status,
            self.status.phrase.encode(),
            date_line,
            self.fields,
            _CLOSE if close else b"",
            len(self.body),
            self.body if with_body else b"",
        )


class DateHeader:
    """The Date header of now, written once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._line = b""

    def line(self, now: datetime) -> bytes:
        """Return the whole line; throughout a second it is the same object."""
        second = int(now.timestamp())
        if second != self._second:
            self._second = second
            self._line = f"Date: {http_date(now)}\r\n".encode("ascii")
        return self._line
