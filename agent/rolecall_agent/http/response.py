"""Responses as bytes: head and body in one piece."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from rolecall_agent.http.times import http_date
from rolecall_common.secret import NotPickled

_SECOND = timedelta(seconds=1)
_CLOSE = b"Connection: close\r\n"
_BEGINNINGS = {
    status: b"HTTP/1.1 %d %s\r\nServer: EC2ws\r\n" % (status, status.phrase.encode())
    for status in HTTPStatus
}


@dataclass(frozen=True, slots=True)
class Response(NotPickled):
    """One response, ready but for the date; *fields* are whole header lines."""

    status: HTTPStatus
    fields: bytes = b""
    body: bytes = field(default=b"", repr=False)  # A document, or a token.

    def rendered(self, date_line: bytes, *, close: bool, with_body: bool) -> bytes:
        """Return all of it, with *date_line* among the headers. HEAD is told the body's length."""
        return b"%s%s%s%sContent-Length: %d\r\n\r\n%s" % (
            _BEGINNINGS[self.status],
            date_line,
            self.fields,
            _CLOSE if close else b"",
            len(self.body),
            self.body if with_body else b"",
        )


class DateHeader:
    """The Date header of now, written once a second."""

    def __init__(self) -> None:
        # From when until when the line is right: two comparisons cost less than a conversion.
        self._begin = self._end = datetime.min.replace(tzinfo=UTC)
        self._line = b""

    def line(self, now: datetime) -> bytes:
        """Return the whole line; throughout a second it is the same object."""
        if not self._begin <= now < self._end:
            self._begin = now.replace(microsecond=0)
            self._end = self._begin + _SECOND
            self._line = f"Date: {http_date(now)}\r\n".encode("ascii")
        return self._line
