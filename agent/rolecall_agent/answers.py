"""Answers as bytes: head and body in one piece, ready but for the date."""

from dataclasses import dataclass
from datetime import timedelta

from rolecall_agent.routes import CREDENTIAL_ROUTES, Route

_REASONS = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    503: b"Service Unavailable",
}
_NO_STORE = b"Cache-Control: no-store\r\n"
_CLOSE = b"Connection: close\r\n"
# The C runtime takes the body of some errors for data, so most have none (contract §5).
_BODIES = {403: b"Forbidden", 404: b"Not Found", 405: b"Method Not Allowed"}
TTL_HEADER = b"X-aws-ec2-metadata-token-ttl-seconds: %d\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; *fields* are whole header lines."""

    status: int
    fields: bytes = b""
    body: bytes = b""

    def rendered(self, date_line: bytes, *, close: bool, with_body: bool) -> bytes:
        """Return all of it, with *date_line* among the headers. HEAD is told the body's length."""
        return b"HTTP/1.1 %d %s\r\nServer: EC2ws\r\n%s%s%sContent-Length: %d\r\n\r\n%s" % (
            self.status,
            _REASONS[self.status],
            date_line,
            self.fields,
            _CLOSE if close else b"",
            len(self.body),
            self.body if with_body else b"",
        )


_PLAIN = b"Content-Type: text/plain\r\n"


def credentials(body: bytes) -> Answer:
    """Return the answer that carries a role's name or document."""
    return Answer(200, _PLAIN + _NO_STORE, body)


def token(text: bytes, ttl: timedelta) -> Answer:
    """Return the answer to a PUT. The TTL is echoed, or Go and Rust do not take the token."""
    return Answer(200, _PLAIN + _NO_STORE + TTL_HEADER % (ttl // timedelta(seconds=1)), text)


def error(status: int, route: Route) -> Answer:
    """Return the answer to what is refused: the same bytes for all who get this status here."""
    return _ERRORS[status, route]


def _error(status: int, route: Route) -> Answer:
    fields = b""
    if status == 503:
        fields = b"Retry-After: 1\r\n"
    if status == 405:
        fields = b"Allow: PUT\r\n" if route is Route.TOKEN else b"Allow: GET, HEAD\r\n"
    body = b"" if route in CREDENTIAL_ROUTES else _BODIES.get(status, b"")
    return Answer(status, _PLAIN + _NO_STORE + fields if not body else _PLAIN + fields, body)


_ERRORS = {
    (status, route): _error(status, route)
    for status in _REASONS
    if status != 200
    for route in Route
}
