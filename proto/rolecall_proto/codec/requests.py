"""What an agent asks: how it opens its stream, and which pods wait at which addresses."""

from collections.abc import Iterable, Mapping, Sequence

from rolecall_proto.codec.fields import (
    Malformed,
    decode_address,
    decode_moment,
    encode_moment,
    encode_optional_moment,
    encode_text,
)
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.values import (
    Address,
    Confirmation,
    Held,
    Hello,
    PodUid,
    Resolution,
    SessionId,
)

# A node runs some hundred pods, so this is fifty times what an honest agent can hold.
MAX_HELD = 10_000
# More than a node has pods; as many addresses may share one question.
MAX_QUESTIONS = 256
_MAX_NAME = 256  # Longer than any session id, version or capability that we shall ever make.
_MAX_CAPABILITIES = 64
_RESOLUTIONS = {
    Resolution.KNOWN: pb.RESOLUTION_KNOWN,
    Resolution.UNKNOWN: pb.RESOLUTION_UNKNOWN,
}


def encode_hello(hello: Hello) -> pb.WatchNodeRequest:
    return pb.WatchNodeRequest(
        version=hello.version,
        capabilities=sorted(hello.capabilities),
        held=[
            pb.HeldSession(session_id=held.session_id, expires_at=encode_moment(held.expires_at))
            for held in hello.held
        ],
    )


def decode_hello(message: pb.WatchNodeRequest) -> Hello | Malformed:
    """Read how an agent opens its stream. A held session that cannot be read is left out."""
    if len(message.held) > MAX_HELD:
        return Malformed("more held sessions than a node can hold")
    if len(message.capabilities) > _MAX_CAPABILITIES:
        return Malformed("more capabilities than there are")
    if any(len(text) > _MAX_NAME for text in (message.version, *message.capabilities)):
        return Malformed("a version or a capability that is too long")
    held = (_held(each) for each in message.held)
    return Hello(
        version=message.version,
        held=tuple(each for each in held if each is not None),
        capabilities=frozenset(message.capabilities),
    )


def _held(message: pb.HeldSession) -> Held | None:
    expires_at = decode_moment(message.expires_at)
    if not 0 < len(message.session_id) <= _MAX_NAME or expires_at is None:
        return None
    return Held(SessionId(message.session_id), expires_at)


def encode_question(
    addresses: Iterable[Address], confirm: Iterable[PodUid] = ()
) -> pb.ResolvePodsRequest:
    return pb.ResolvePodsRequest(
        addresses=[str(address) for address in addresses],
        confirm=[encode_text(uid) for uid in confirm],
    )


def decode_question(message: pb.ResolvePodsRequest) -> tuple[Address, ...] | Malformed:
    """Read which addresses are asked about: at least one, and no text that is none."""
    if not 0 < len(message.addresses) <= MAX_QUESTIONS:
        return Malformed("no addresses, or more than one question may hold")
    addresses = [decode_address(text) for text in message.addresses]
    known = tuple(address for address in addresses if address is not None)
    return known if len(known) == len(addresses) else Malformed("not an IP address")


def decode_confirm(message: pb.ResolvePodsRequest) -> tuple[PodUid, ...] | Malformed:
    """Read which pods are to be read anew, if any."""
    if len(message.confirm) > MAX_QUESTIONS:
        return Malformed("more pods than one question may hold")
    if not all(0 < len(uid) <= _MAX_NAME for uid in message.confirm):
        return Malformed("not the uid of a pod")
    return tuple(PodUid(uid) for uid in message.confirm)


def encode_resolutions(
    resolutions: Iterable[Resolution],
    confirmations: Iterable[Confirmation | None] = (),
) -> pb.ResolvePodsResponse:
    """Write an answer; *confirmations* has None for a pod that could not be read."""
    return pb.ResolvePodsResponse(
        resolutions=[_RESOLUTIONS[each] for each in resolutions],
        confirmations=[_confirmation_message(each) for each in confirmations],
    )


def _confirmation_message(confirmation: Confirmation | None) -> pb.Confirmation:
    if confirmation is None:
        return pb.Confirmation(read=False)
    return pb.Confirmation(
        read=True,
        addresses=[str(address) for address in confirmation.addresses],
        started_at=encode_optional_moment(confirmation.started_at),
    )


def decode_resolutions(message: pb.ResolvePodsResponse) -> tuple[Resolution, ...]:
    return tuple(
        Resolution.KNOWN if each == pb.RESOLUTION_KNOWN else Resolution.UNKNOWN
        for each in message.resolutions
    )


def decode_confirmations(
    message: pb.ResolvePodsResponse, asked: Sequence[PodUid]
) -> Mapping[PodUid, Confirmation]:
    """Read what each of *asked* has; who could not be read is left out."""
    if len(message.confirmations) != len(asked):
        return {}  # Of an older server; or nobody knows which is whose.
    return {
        uid: _confirmation(each)
        for uid, each in zip(asked, message.confirmations, strict=True)
        if each.read
    }


def _confirmation(message: pb.Confirmation) -> Confirmation:
    read = (decode_address(text) for text in message.addresses)
    addresses = tuple(address for address in read if address is not None)
    return Confirmation(addresses, decode_moment(message.started_at))
