"""Answers of the container endpoint: JSON, the errors too, and each of those constant."""

import json
from http import HTTPStatus
from types import MappingProxyType

from rolecall_agent.metadata.decide import Serve
from rolecall_agent.metadata.documents import aws_time
from rolecall_agent.metadata.responses import Answer
from rolecall_agent.metadata.routes import Route

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


def credentials(serve: Serve) -> Answer:
    """Return the answer that carries a pod's credentials, as the containers' agents of AWS do."""
    session, role_arn = serve.session, serve.assignment.role_arn
    fields = {
        "AccessKeyId": session.credentials.access_key_id,
        "SecretAccessKey": session.credentials.secret_access_key.reveal(),
        "Token": session.credentials.session_token.reveal(),
        "Expiration": aws_time(session.reported_until),
        "AccountId": role_arn.split(":")[4] if role_arn.count(":") > 4 else "",  # noqa: PLR2004 - see an ARN
        "RoleArn": role_arn,
    }
    return Answer(HTTPStatus.OK, _JSON, json.dumps(fields).encode("ascii"))


def error(status: int, route: Route) -> Answer:
    """Return the answer to what is refused."""
    return _NOT_FOUND if route is Route.OTHER else _ANSWERS[HTTPStatus(status)]


def _error(status: HTTPStatus, code: str, message: str) -> Answer:
    body = json.dumps({"code": code, "message": message}).encode("ascii")
    return Answer(status, _JSON + _MORE.get(status, b""), body)


_NOT_FOUND = _error(*_NO_PATH)
_ANSWERS = {said[0]: _error(*said) for said in ERRORS if said is not _NO_PATH}
