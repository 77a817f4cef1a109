"""What the container endpoint responds: JSON, the errors too, and each of those constant."""

import json
from http import HTTPStatus
from types import MappingProxyType

from rolecall_agent.decision import Route, Serve
from rolecall_agent.http.response import Response
from rolecall_agent.http.times import aws_time

_JSON = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_NO_PATH = (HTTPStatus.NOT_FOUND, "NotFound", "there is no such path")
# Every error: its status, its code, and its message.
ERRORS = (
    (HTTPStatus.BAD_REQUEST, "BadRequest", "the request is malformed"),
    (HTTPStatus.UNAUTHORIZED, "InvalidToken", "the token is none of a pod of this node"),
    (HTTPStatus.NOT_FOUND, "NoCredentials", "there are no credentials for this pod"),
    (HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", "credentials are asked for by GET"),
    (HTTPStatus.SERVICE_UNAVAILABLE, "NotYet", "the credentials are not here yet: ask again"),
    _NO_PATH,
)
_MORE = MappingProxyType(
    {
        HTTPStatus.METHOD_NOT_ALLOWED: b"Allow: GET, HEAD\r\n",
        HTTPStatus.SERVICE_UNAVAILABLE: b"Retry-After: 1\r\n",
    }
)


def credentials(serve: Serve) -> Response:
    """Return the response that carries a pod's credentials, as the containers' agents of AWS do."""
    session, role_arn = serve.session, serve.assignment.role_arn
    fields = {
        "AccessKeyId": session.credentials.access_key_id,
        "SecretAccessKey": session.credentials.secret_access_key.reveal(),
        "Token": session.credentials.session_token.reveal(),
        "Expiration": aws_time(session.reported_until),
        "AccountId": role_arn.split(":")[4] if role_arn.count(":") > 4 else "",  # noqa: PLR2004 - see an ARN
        "RoleArn": role_arn,
    }
    return Response(HTTPStatus.OK, _JSON, json.dumps(fields).encode("ascii"))


def error(status: int, route: Route) -> Response:
    """Return the response to what is refused."""
    return _NOT_FOUND if route is Route.OTHER else _ERRORS[HTTPStatus(status)]


def _error(status: HTTPStatus, code: str, message: str) -> Response:
    body = json.dumps({"code": code, "message": message}).encode("ascii")
    return Response(status, _JSON + _MORE.get(status, b""), body)


_NOT_FOUND = _error(*_NO_PATH)
_ERRORS = {said[0]: _error(*said) for said in ERRORS if said is not _NO_PATH}
