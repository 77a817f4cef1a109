"""Answers as bytes: head and body in one piece, ready but for the date."""

from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus

from rolecall_agent.metadata.routes import CREDENTIAL_ROUTES, Route
from rolecall_common.secret import NotPickled

_ERROR_STATUSES = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_NO_STORE = b"Cache-Control: no-store\r\n"
_CLOSE = b"Connection: close\r\n"
# The C runtime takes the body of some errors for data, so most have none (contract §5).
_WITH_BODY = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
TTL_HEADER = b"X-aws-ec2-metadata-token-ttl-seconds: %d\r\n"


@dataclass(frozen=True, slots=True)
class Answer(NotPickled):
    """One answer; *fields* are whole header lines."""

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


_PLAIN = b"Content-Type: text/plain\r\n"


def credentials(body: bytes) -> Answer:
    """Return the answer that carries a role's name or document."""
    return Answer(HTTPStatus.OK, _PLAIN + _NO_STORE, body)


def plain(body: bytes) -> Answer:
    """Return the answer that carries something of the node's, or a listing."""
    return Answer(HTTPStatus.OK, _PLAIN, body)


def token(text: bytes, ttl: timedelta) -> Answer:
    """Return the answer to a PUT. The TTL is echoed, or Go and Rust do not take the token."""
    return Answer(
        HTTPStatus.OK, _PLAIN + _NO_STORE + TTL_HEADER % (ttl // timedelta(seconds=1)), text
    )


def error(status: int, route: Route) -> Answer:
    """Return the answer to what is refused: the same bytes for all who get this status here."""
    return _ERRORS[HTTPStatus(status), route]


def _error(status: HTTPStatus, route: Route) -> Answer:
    fields = _PLAIN + _NO_STORE
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        fields += b"Retry-After: 1\r\n"
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        fields += b"Allow: PUT\r\n" if route is Route.TOKEN else b"Allow: GET, HEAD\r\n"
    has_body = status in _WITH_BODY and route not in CREDENTIAL_ROUTES
    return Answer(status, fields, status.phrase.encode() if has_body else b"")


_ERRORS = {(status, route): _error(status, route) for status in _ERROR_STATUSES for route in Route}
