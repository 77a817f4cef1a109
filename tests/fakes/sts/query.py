"""The query protocol: a form in the body, with one action."""

from collections.abc import Mapping
from urllib.parse import unquote_plus

from fakes.sts.refusal import RefusalError
from fakes.sts.signature import Request

_FORM = "application/x-www-form-urlencoded"
_ACTIONS = frozenset({"AssumeRole", "GetCallerIdentity"})


def read_form(body: bytes) -> dict[str, str]:
    fields = (part.partition("=") for part in body.decode("utf-8", "replace").split("&"))
    return {unquote_plus(name): unquote_plus(value) for name, _, value in fields if name}


def read_action(request: Request, form: Mapping[str, str]) -> str:
    if request.method != "POST" or request.path != "/":
        raise RefusalError(404, "UnknownOperationException", "Only POST / is served here")
    if request.headers.get("content-type", "").partition(";")[0] != _FORM:
        raise RefusalError(400, "MalformedInput", f"The body must be {_FORM}")
    if len(form) != request.body.count(b"=") or form.get("Version") != "2011-06-15":
        raise RefusalError(400, "MalformedInput", "A parameter is doubled, odd or missing")
    if form.get("Action") not in _ACTIONS:
        raise RefusalError(400, "InvalidAction", "Could not find operation")
    return form["Action"]
