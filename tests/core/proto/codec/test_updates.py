"""Updates of a node arrive as they were sent, and nothing that can be sent surprises the reader."""

from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address

import pytest

from rolecall_common.secret import Secret
from rolecall_proto.codec import Malformed, decode_update, encode_update, encode_updates
from rolecall_proto.codec.updates import MOST_TOGETHER
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.values import (
    Assignment,
    AssignmentUpserted,
    Credentials,
    EndpointKeys,
    Heartbeat,
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

NOON = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
GRANTED = Assignment(
    uid=PodUid("7d1f"),
    namespace="shop",
    name="web-1",
    service_account="web",
    addresses=(ip_address("10.0.0.7"), ip_address("fd00::7")),
    state=State.GRANTED,
    role="reader",
    role_arn="arn:aws:iam::111122223333:role/reader",
    session_id=SessionId("abc"),
    imdsv2_required=True,
    started_at=NOON,
)
FAILED = Assignment(
    uid=PodUid("7d20"),
    namespace="shop",
    name="db-1",
    service_account="db",
    addresses=(),
    state=State.FAILED,
    role="writer",
    role_arn="arn:aws:iam::111122223333:role/writer",
    reason=Reason.ACCESS_DENIED,
    host_network=True,
)
SESSION = Session(
    SessionId("abc"),
    Credentials(
        access_key_id="ASIAEXAMPLE",
        secret_access_key=Secret("secret"),
        session_token=Secret("token"),
        issued_at=NOON,
        expires_at=NOON + timedelta(hours=1),
    ),
    reported_until=NOON + timedelta(minutes=55),
)
POD_TOKENS = PodTokenRules("https://issuer", ("one", "two"), ('{"kid":"a"}', '{"kid":"b"}'))


UPDATES: list[Update] = [
    AssignmentUpserted(GRANTED),
    AssignmentUpserted(FAILED),
    PodRemoved(PodUid("7d1f")),
    SessionRenewed(SESSION),
    EndpointKeys(token_key=bytes(range(32)), base_arn="arn:aws:iam::1:role/", imdsv2_required=True),
    EndpointKeys(token_key=bytes(32), pod_tokens=POD_TOKENS),
    SnapshotEnd(),
    Heartbeat(NOON),
]


def granted(**fields: object) -> pb.NodeUpdate:
    """Return the message of GRANTED with some fields set otherwise."""
    message = encode_update(AssignmentUpserted(GRANTED))
    for name, value in fields.items():
        setattr(message.assignment, name, value)
    return message


def read_assignment(message: pb.NodeUpdate) -> Assignment:
    update = decode_update(message)
    assert isinstance(update, AssignmentUpserted)
    return update.assignment


@pytest.mark.parametrize(
    "update",
    UPDATES,
    ids=[
        "granted",
        "failed",
        "removed",
        "session",
        "keys",
        "pods' keys",
        "end of snapshot",
        "heartbeat",
    ],
)
def test_an_update_arrives_as_it_was_sent(update: Update) -> None:
    """Every kind of update survives the bytes of the wire unchanged."""
    sent = encode_update(update).SerializeToString()

    assert decode_update(pb.NodeUpdate.FromString(sent)) == update


def test_many_updates_are_few_messages() -> None:
    """None is lost, their order stays, and no message is larger than a reader takes."""
    updates = [PodRemoved(PodUid(str(number))) for number in range(2 * MOST_TOGETHER + 1)]
    messages = list(encode_updates(updates))

    assert [len(message.updates) for message in messages] == [MOST_TOGETHER, MOST_TOGETHER, 1]
    assert [decode_update(each) for message in messages for each in message.updates] == updates


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    """What is sent is a moment, not a clock face."""
    there = NOON.astimezone(timezone(timedelta(hours=9)))

    assert decode_update(encode_update(Heartbeat(there))) == Heartbeat(NOON)


def test_an_update_of_an_unknown_kind_is_none() -> None:
    """A newer server may say what we have no word for; it is skipped."""
    from_the_future = pb.NodeUpdate.FromString(b"\x9a\x06\x02hi")  # Field 99, two bytes.

    assert decode_update(from_the_future) is None


@pytest.mark.parametrize("state", [0, 99, -1])
def test_an_unknown_state_is_pending(state: int) -> None:
    """A pod waits rather than being refused, or served, by a misunderstanding."""
    assignment = read_assignment(granted(state=state))

    assert assignment.state is State.PENDING
    assert assignment.session_id is None


def test_a_grant_without_a_session_is_pending() -> None:
    """There is nothing to serve, so nothing is served."""
    assignment = read_assignment(granted(session_id=""))

    assert assignment.state is State.PENDING
    assert assignment.reason is Reason.CREDENTIALS_PENDING


def test_a_denial_with_an_unknown_reason_is_a_denial() -> None:
    """The state decides, the reason only explains."""
    message = granted(state=pb.STATE_DENIED, reason="a word of tomorrow")
    assignment = read_assignment(message)

    assert assignment.state is State.DENIED
    assert assignment.reason is None
    assert assignment.session_id is None


def test_a_broken_address_is_no_address() -> None:
    """The pod keeps the addresses that can be read."""
    message = granted()
    message.assignment.addresses[:] = ["10.0.0.7", "10.0.0.256", "", "eth0", "::ffff:10.0.0.8"]

    expected = (ip_address("10.0.0.7"), ip_address("10.0.0.8"))
    assert read_assignment(message).addresses == expected


def test_no_pod_is_told_of_a_life_beyond_the_true_end() -> None:
    """A reported end after the true end is read as the true end."""
    message = encode_update(SessionRenewed(SESSION))
    message.session.reported_until.seconds += 86_400
    update = decode_update(message)

    assert isinstance(update, SessionRenewed)
    assert update.session.reported_until == SESSION.credentials.expires_at


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", ""), ("access_key_id", ""), ("secret_access_key", ""), ("session_token", "")],
)
def test_half_a_session_is_malformed(field: str, value: str) -> None:
    """A session without its id or a part of its credentials is of no use."""
    message = encode_update(SessionRenewed(SESSION))
    setattr(message.session, field, value)

    assert isinstance(decode_update(message), Malformed)


@pytest.mark.parametrize("field", ["issued_at", "expires_at", "reported_until"])
@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(0, 0), (-1, 0), (2**62, 0), (-(2**62), 0), (1, -1), (1, 1_000_000_000), (253_402_300_800, 0)],
)
def test_a_session_with_a_time_that_is_none_is_malformed(
    field: str, seconds: int, nanos: int
) -> None:
    """Times before the epoch, after the year 9999 or between nanoseconds are not guessed at."""
    message = encode_update(SessionRenewed(SESSION))
    stamp = getattr(message.session, field)
    stamp.seconds, stamp.nanos = seconds, nanos

    assert isinstance(decode_update(message), Malformed)


@pytest.mark.parametrize(
    "message",
    [
        pb.NodeUpdate(assignment=pb.Assignment(name="nobody")),
        pb.NodeUpdate(pod_removed=pb.PodRemoved()),
        pb.NodeUpdate(session=pb.Session()),
        pb.NodeUpdate(endpoint_keys=pb.EndpointKeys(token_key=b"short")),
        pb.NodeUpdate(heartbeat=pb.Heartbeat()),
    ],
    ids=lambda message: message.WhichOneof("kind"),
)
def test_an_update_without_its_key_is_malformed(message: pb.NodeUpdate) -> None:
    """What names nobody concerns nobody."""
    assert isinstance(decode_update(message), Malformed)


@pytest.mark.parametrize("missing", ["issuer", "audiences", "keys"])
def test_rules_for_tokens_that_lack_something_are_none(missing: str) -> None:
    """No token could be good by them, so nothing is checked by them; the other keys stay."""
    message = encode_update(EndpointKeys(bytes(32), pod_tokens=POD_TOKENS))
    message.endpoint_keys.pod_tokens.ClearField(missing)

    assert decode_update(message) == EndpointKeys(bytes(32))


def test_a_strange_name_does_not_end_the_stream() -> None:
    """A lone surrogate, which no message can hold, is replaced instead of raised about."""
    strange = Assignment(
        uid=PodUid("7d1f"),
        namespace="shop\udc80",
        name="web-1",
        service_account="web",
        addresses=(),
        state=State.DENIED,
        reason=Reason.ROLE_MALFORMED,
    )

    assert read_assignment(encode_update(AssignmentUpserted(strange))).namespace == "shop?"
