"""The stream of a node: written by the server, read by the agent."""

from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

from rolecall_common.secret import Secret
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
    Assignment,
    AssignmentUpserted,
    Credentials,
    EndpointKeys,
    Heartbeat,
    NodeName,
    PodRemoved,
    PodTokenRules,
    PodUid,
    Reason,
    Session,
    SessionId,
    SessionRenewed,
    SnapshotEnd,
    State,
    Update,
)

# gRPC takes 4 MiB unless told otherwise, and no session of STS comes near 16 KiB. A message costs
# both ends as much as some ten updates, so that a node of 200 pods takes two and not four hundred.
MOST_TOGETHER = 128
_TOKEN_KEY_LENGTH = 32
_STATES = {
    State.GRANTED: pb.STATE_GRANTED,
    State.DENIED: pb.STATE_DENIED,
    State.PENDING: pb.STATE_PENDING,
    State.FAILED: pb.STATE_FAILED,
}
_STATES_READ = {number: state for state, number in _STATES.items()}
_REASONS_READ = {reason.value: reason for reason in Reason}


def encode_update(update: Update) -> pb.NodeUpdate:
    match update:
        case AssignmentUpserted(assignment):
            return pb.NodeUpdate(assignment=_assignment_message(assignment))
        case PodRemoved(uid):
            return pb.NodeUpdate(pod_removed=pb.PodRemoved(uid=encode_text(uid)))
        case SessionRenewed(session):
            return pb.NodeUpdate(session=_session_message(session))
        case EndpointKeys():
            return pb.NodeUpdate(endpoint_keys=_keys_message(update))
        case SnapshotEnd():
            return pb.NodeUpdate(snapshot_end=pb.SnapshotEnd())
        case Heartbeat(sent_at):
            return pb.NodeUpdate(heartbeat=pb.Heartbeat(sent_at=encode_moment(sent_at)))
        case _:
            assert_never(update)


def encode_updates(updates: Sequence[Update]) -> Iterator[pb.NodeUpdates]:
    """Yield *updates* in messages that no reader thinks too large."""
    for start in range(0, len(updates), MOST_TOGETHER):
        together = updates[start : start + MOST_TOGETHER]
        yield pb.NodeUpdates(updates=[encode_update(update) for update in together])


def decode_update(message: pb.NodeUpdate) -> Update | Malformed | None:
    """Read one update; None where it is of a kind that this version does not know."""
    kind = message.WhichOneof("kind")
    return None if kind is None else _READERS[kind](message)


def _assignment_message(assignment: Assignment) -> pb.Assignment:
    return pb.Assignment(
        uid=encode_text(assignment.uid),
        namespace=encode_text(assignment.namespace),
        name=encode_text(assignment.name),
        service_account=encode_text(assignment.service_account),
        addresses=[str(address) for address in assignment.addresses],
        state=_STATES[assignment.state],
        role=encode_text(assignment.role),
        role_arn=encode_text(assignment.role_arn),
        session_id=assignment.session_id or "",
        reason=assignment.reason.value if assignment.reason else "",
        host_network=assignment.host_network,
        imdsv2_required=assignment.imdsv2_required,
        started_at=encode_optional_moment(assignment.started_at),
    )


def _assignment(message: pb.Assignment) -> AssignmentUpserted | Malformed:
    if not message.uid:
        return Malformed("an assignment without a uid")
    state = _STATES_READ.get(message.state, State.PENDING)
    reason = _REASONS_READ.get(message.reason)
    if state is State.GRANTED and not message.session_id:
        state, reason = State.PENDING, Reason.CREDENTIALS_PENDING
    granted = state is State.GRANTED
    read = (decode_address(text) for text in message.addresses)
    return AssignmentUpserted(
        Assignment(
            uid=PodUid(message.uid),
            namespace=message.namespace,
            name=message.name,
            service_account=message.service_account,
            addresses=tuple(address for address in read if address is not None),
            state=state,
            role=message.role,
            role_arn=message.role_arn,
            session_id=SessionId(message.session_id) if granted else None,
            reason=None if granted else reason,
            host_network=message.host_network,
            imdsv2_required=message.imdsv2_required,
            started_at=decode_moment(message.started_at),
        )
    )


def _removed(message: pb.PodRemoved) -> PodRemoved | Malformed:
    return PodRemoved(PodUid(message.uid)) if message.uid else Malformed("a removal without a uid")


def _session_message(session: Session) -> pb.Session:
    credentials = session.credentials
    return pb.Session(
        id=session.id,
        access_key_id=credentials.access_key_id,
        secret_access_key=credentials.secret_access_key.reveal(),
        session_token=credentials.session_token.reveal(),
        issued_at=encode_moment(credentials.issued_at),
        expires_at=encode_moment(credentials.expires_at),
        reported_until=encode_moment(session.reported_until),
    )


def _session(message: pb.Session) -> SessionRenewed | Malformed:
    if not message.id:
        return Malformed("a session without an id")
    if not (message.access_key_id and message.secret_access_key and message.session_token):
        return Malformed("a session without credentials")
    issued_at = decode_moment(message.issued_at)
    expires_at = decode_moment(message.expires_at)
    reported_until = decode_moment(message.reported_until)
    if issued_at is None or expires_at is None or reported_until is None:
        return Malformed("a session whose times cannot be read")
    credentials = Credentials(
        access_key_id=message.access_key_id,
        secret_access_key=Secret(message.secret_access_key),
        session_token=Secret(message.session_token),
        issued_at=issued_at,
        expires_at=expires_at,
    )
    # No pod is told that it may go on beyond the true end.
    reported = min(reported_until, expires_at)
    return SessionRenewed(Session(SessionId(message.id), credentials, reported))


def _keys_message(keys: EndpointKeys) -> pb.EndpointKeys:
    return pb.EndpointKeys(
        token_key=keys.token_key,
        base_arn=encode_text(keys.base_arn),
        imdsv2_required=keys.imdsv2_required,
        node=encode_text(keys.node),
        pod_tokens=None if keys.pod_tokens is None else _pod_tokens_message(keys.pod_tokens),
    )


def _pod_tokens_message(rules: PodTokenRules) -> pb.PodTokenRules:
    return pb.PodTokenRules(
        issuer=encode_text(rules.issuer),
        audiences=[encode_text(each) for each in rules.audiences],
        keys=[encode_text(each) for each in rules.keys],
    )


def _keys(message: pb.EndpointKeys) -> EndpointKeys | Malformed:
    if len(message.token_key) != _TOKEN_KEY_LENGTH:
        return Malformed("a token key that is not of 32 bytes")
    node = NodeName(message.node)
    tokens = _pod_tokens(message.pod_tokens)
    return EndpointKeys(message.token_key, message.base_arn, message.imdsv2_required, node, tokens)


def _pod_tokens(message: pb.PodTokenRules) -> PodTokenRules | None:
    # Where one of them is missing no token could be good, as where nothing was sent.
    if not (message.issuer and message.audiences and message.keys):
        return None
    return PodTokenRules(message.issuer, tuple(message.audiences), tuple(message.keys))


def _heartbeat(message: pb.Heartbeat) -> Heartbeat | Malformed:
    sent_at = decode_moment(message.sent_at)
    return Malformed("a heartbeat without a time") if sent_at is None else Heartbeat(sent_at)


_READERS: dict[str, Callable[[pb.NodeUpdate], Update | Malformed]] = {
    "assignment": lambda message: _assignment(message.assignment),
    "pod_removed": lambda message: _removed(message.pod_removed),
    "session": lambda message: _session(message.session),
    "endpoint_keys": lambda message: _keys(message.endpoint_keys),
    "snapshot_end": lambda _: SnapshotEnd(),
    "heartbeat": lambda message: _heartbeat(message.heartbeat),
}
