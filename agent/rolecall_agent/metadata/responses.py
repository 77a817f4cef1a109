"""What the metadata endpoint responds, ready but for the date."""

from datetime import timedelta
from http import HTTPStatus

from rolecall_agent.decision import Route
from rolecall_agent.http.response import Response
from rolecall_agent.metadata.routes import CREDENTIAL_ROUTES

_ERROR_STATUSES = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_NO_STORE = b"Cache-Control: no-store\r\n"
# The C runtime takes the body of some errors for data, so most have none (contract §5).
_WITH_BODY = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
TTL_HEADER = b"X-aws-ec2-metadata-token-ttl-seconds: %d\r\n"
_PLAIN = b"Content-Type: text/plain\r\n"


def credentials(body: bytes) -> Response:
    """Return the response that carries a role's name or document."""
    return Response(HTTPStatus.OK, _PLAIN + _NO_STORE, body)


def plain(body: bytes) -> Response:
    """Return the response that carries something of the node's, or a listing."""
    return Response(HTTPStatus.OK, _PLAIN, body)


def token(text: bytes, ttl: timedelta) -> Response:
    """Return the response to a PUT. The TTL is echoed, or Go and Rust do not take the token."""
    return Response(
        HTTPStatus.OK, _PLAIN + _NO_STORE + TTL_HEADER % (ttl // timedelta(seconds=1)), text
    )


def error(status: int, route: Route) -> Response:
    """Return the response to what is refused: the same bytes for all who get this status here."""
    return _ERRORS[HTTPStatus(status), route]


def _error(status: HTTPStatus, route: Route) -> Response:
    fields = _PLAIN + _NO_STORE
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        fields += b"Retry-After: 1\r\n"
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        fields += b"Allow: PUT\r\n" if route is Route.TOKEN else b"Allow: GET, HEAD\r\n"
    has_body = status in _WITH_BODY and route not in CREDENTIAL_ROUTES
    return Response(status, fields, status.phrase.encode() if has_body else b"")


_ERRORS = {(status, route): _error(status, route) for status in _ERROR_STATUSES for route in Route}
