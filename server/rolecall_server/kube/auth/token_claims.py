"""What a token says about itself, read before anyone has vouched for it.

Nothing here is believed: it decides which tokens are worth a question, so that garbage costs none.
Who wrote the token may be anybody, so whatever it holds is a `Claims` or a refusal with its reason.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from rolecall_common.account_tokens import ALGORITHMS, END_OF_TIME, header_and_payload, moment
from rolecall_proto.values import NodeName, PodUid
from rolecall_server.model.authenticator import ForbiddenError, UnauthenticatedError

_LONGEST = 8 * 1024  # A projected token has about 1 KiB.
_NAME_LIMIT = 253


@dataclass(frozen=True, slots=True)
class AgentRules:
    """Which service account the agents run as, and which audience their tokens are made for."""

    namespace: str
    service_account: str
    audience: str

    @property
    def username(self) -> str:
        return f"system:serviceaccount:{self.namespace}:{self.service_account}"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose token it is: an agent's pod, as far as whoever vouches for the token knows."""

    pod_uid: PodUid
    pod_name: str
    node: NodeName | None = None  # API servers before 1.30 do not say.


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says that may be an agent's."""

    holder: Holder
    issuer: str
    key_id: str
    expires_at: datetime
    not_before: datetime | None
    issued_at: datetime | None


_Moment = Annotated[float, msgspec.Meta(ge=0, le=END_OF_TIME)]


class _Header(msgspec.Struct, frozen=True):
    alg: str = ""
    kid: str | None = None


class _Named(msgspec.Struct, frozen=True):
    name: str = ""
    uid: str = ""


class _Bound(msgspec.Struct, frozen=True):
    """The claim by which Kubernetes says what a token is bound to."""

    namespace: str = ""
    serviceaccount: _Named | None = None
    pod: _Named | None = None
    node: _Named | None = None


class _Payload(msgspec.Struct, frozen=True):
    exp: _Moment
    iss: str = ""
    aud: str | list[str] = ""
    sub: str = ""
    nbf: _Moment | None = None
    iat: _Moment | None = None
    bound: _Bound | None = msgspec.field(default=None, name="kubernetes.io")


_HEADER, _PAYLOAD = msgspec.json.Decoder(_Header), msgspec.json.Decoder(_Payload)


def read_token(token: str, rules: AgentRules, now: datetime) -> Claims:
    """Return what *token* says, where it may be a token of an agent that has not ended.

    Raises: UnauthenticatedError, ForbiddenError.
    """
    header, payload = _parts(token)
    if header.alg not in ALGORITHMS:
        raise UnauthenticatedError("it is signed in a way that no API server uses")
    audiences = [payload.aud] if isinstance(payload.aud, str) else payload.aud
    if rules.audience not in audiences:
        raise UnauthenticatedError("it is made for another audience")
    ends = moment(payload.exp)
    if ends <= now:
        raise UnauthenticatedError("it has expired")
    return Claims(
        holder=_holder(payload, rules),
        issuer=payload.iss,
        key_id=header.kid or "",
        expires_at=ends,
        not_before=None if payload.nbf is None else moment(payload.nbf),
        issued_at=None if payload.iat is None else moment(payload.iat),
    )


def _parts(token: str) -> tuple[_Header, _Payload]:
    parts = header_and_payload(token) if len(token) <= _LONGEST else None
    if parts is None:
        raise UnauthenticatedError("it is no JWT")
    try:
        return _HEADER.decode(parts[0]), _PAYLOAD.decode(parts[1])
    # UnicodeDecodeError is a ValueError. What is nested too deeply, in fields that nobody reads, is
    # a RecursionError.
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnauthenticatedError(f"it is no JWT of Kubernetes ({type(error).__name__})") from None


def _holder(payload: _Payload, rules: AgentRules) -> Holder:
    if payload.sub != rules.username:
        raise ForbiddenError("it is another service account's")
    bound = payload.bound or _Bound()
    account = bound.serviceaccount or _Named()
    if (bound.namespace, account.name) != (rules.namespace, rules.service_account):
        raise ForbiddenError("it is bound to another service account, or to none")
    pod, node = bound.pod or _Named(), bound.node or _Named()
    if not 0 < len(pod.uid) <= _NAME_LIMIT:
        raise ForbiddenError("it is bound to no pod")
    return Holder(PodUid(pod.uid), pod.name, NodeName(node.name) if node.name else None)
