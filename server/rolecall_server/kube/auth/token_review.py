"""Asks the API server whose token it is (TokenReview), and reads its answer totally."""

from dataclasses import dataclass
from datetime import timedelta

import msgspec

from rolecall_common.quoting import quoted
from rolecall_common.secret import Secret
from rolecall_proto.values import NodeName, PodUid
from rolecall_server.kube.api import Api, RejectedError, UnavailableError
from rolecall_server.kube.auth.token_claims import AgentRules, Holder
from rolecall_server.model.authenticator import ForbiddenError, UnauthenticatedError

_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_EXTRA = "authentication.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class Refused:
    """The review says no: as an error that can be raised anew for each who asks."""

    error: type[UnauthenticatedError] | type[ForbiddenError]
    reason: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """There was no review.

    *away*: the API server does not answer, so that somebody else may vouch; else it does not let us
    ask, and nobody may.
    """

    away: bool
    reason: str
    retry_after: timedelta | None = None


ReviewResult = Holder | Refused | Unanswered


class _User(msgspec.Struct, frozen=True):
    username: str | None = None
    extra: dict[str, list[str] | None] | None = None


class Status(msgspec.Struct, frozen=True):
    authenticated: bool | None = None
    audiences: list[str] | None = None
    user: _User | None = None
    error: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    status: Status | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


async def review(api: Api, rules: AgentRules, token: Secret) -> ReviewResult:
    """Return whose *token* it is by the API server. Never raises."""
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token.reveal(), "audiences": [rules.audience]},
    }
    try:
        answer = _ANSWER.decode(await api.send("POST", _PATH, body))
    except UnavailableError as error:
        return Unanswered(away=True, reason=str(error), retry_after=error.retry_after)
    except RejectedError as error:
        return Unanswered(away=False, reason=str(error))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Unanswered(away=True, reason=f"no TokenReview came back: {error}")
    if answer.status is None:
        return Unanswered(away=True, reason="a TokenReview without a status came back")
    return holder_of(answer.status, rules)


def holder_of(status: Status, rules: AgentRules) -> Holder | Refused:
    """Return whose token was reviewed, where it is an agent's."""
    if not status.authenticated:
        told = quoted(status.error) if status.error else "no reason given"
        return Refused(UnauthenticatedError, f"the API server does not accept it: {told}")
    # An API server that knows no audiences accepts the token for its own, and says none.
    if rules.audience not in (status.audiences or ()):
        return Refused(UnauthenticatedError, "the API server accepts it for another audience")
    user = status.user or _User()
    if user.username != rules.username:
        return Refused(ForbiddenError, f"it is of {quoted(user.username or '')}, not an agent's")
    extra = user.extra or {}
    uid = _one(extra, "pod-uid")
    if uid is None:
        return Refused(ForbiddenError, "it is bound to no pod")
    node = _one(extra, "node-name")
    return Holder(PodUid(uid), _one(extra, "pod-name") or "", NodeName(node) if node else None)


def _one(extra: dict[str, list[str] | None], name: str) -> str | None:
    values = extra.get(_EXTRA + name) or []
    return values[0] if len(values) == 1 and values[0] else None
