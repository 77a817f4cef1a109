"""What is written is read again unchanged, and nothing that can be sent surprises the reader."""

from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from rolecall_common.secret import Secret
from rolecall_proto.codec import (
    MAX_CLAIMS,
    MAX_QUESTIONS,
    Malformed,
    decode_address,
    decode_confirm,
    decode_confirmations,
    decode_hello,
    decode_question,
    decode_resolutions,
    decode_update,
    encode_hello,
    encode_question,
    encode_resolutions,
    encode_update,
    encode_updates,
)
from rolecall_proto.codec.updates import MOST_TOGETHER
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.values import (
    Assignment,
    AssignmentUpserted,
    Credentials,
    EndpointKeys,
    Heartbeat,
    Held,
    Hello,
    PodRemoved,
    PodTokenRules,
    PodUid,
    Reason,
    Resolution,
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


def test_a_hello_arrives_as_it_was_sent() -> None:
    """Version, capabilities and claims survive the bytes of the wire unchanged."""
    hello = Hello("0.1.0", (Held(SessionId("abc"), NOON),), frozenset({"b", "a"}))
    sent = encode_hello(hello).SerializeToString()

    assert decode_hello(pb.WatchNodeRequest.FromString(sent)) == hello


def test_a_question_arrives_as_it_was_sent() -> None:
    """Addresses keep their order, for the answer is by order too."""
    addresses = (ip_address("10.0.0.2"), ip_address("fd00::1"), ip_address("10.0.0.1"))
    sent = encode_question(addresses).SerializeToString()

    assert decode_question(pb.ResolvePodsRequest.FromString(sent)) == addresses


def test_resolutions_arrive_as_they_were_sent() -> None:
    """Known is known, and unknown unknown."""
    resolutions = (Resolution.UNKNOWN, Resolution.KNOWN, Resolution.UNKNOWN)

    assert decode_resolutions(encode_resolutions(resolutions)) == resolutions


def test_pods_to_confirm_arrive_as_they_were_sent() -> None:
    """Uids keep their order, for the answer is by order too."""
    asked = (PodUid("b"), PodUid("a"))
    sent = encode_question([ip_address("10.0.0.1")], asked).SerializeToString()

    assert decode_confirm(pb.ResolvePodsRequest.FromString(sent)) == asked


@pytest.mark.parametrize(
    "uids", [["u"] * (MAX_QUESTIONS + 1), [""], ["u" * 1000]], ids=["many", "empty", "long"]
)
def test_pods_to_confirm_are_bounded(uids: list[str]) -> None:
    """Neither too many, nor one without a name or with an endless one."""
    assert isinstance(decode_confirm(pb.ResolvePodsRequest(confirm=uids)), Malformed)


def test_confirmations_arrive_as_they_were_sent() -> None:
    """A pod that could not be read is left out; one that has nothing is there."""
    asked = (PodUid("here"), PodUid("gone"), PodUid("unread"))
    here = frozenset({ip_address("10.0.0.1"), ip_address("fd00::1")})
    sent = encode_resolutions([], [here, frozenset(), None])

    assert decode_confirmations(sent, asked) == {"here": here, "gone": frozenset()}


def test_confirmations_of_an_older_server_are_none() -> None:
    """It does not know the question, and so answers less than was asked."""
    assert decode_confirmations(encode_resolutions([]), (PodUid("here"),)) == {}


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


def test_a_broken_claim_is_no_claim() -> None:
    """A claim only spares a push, so one that cannot be read is left out, and the others count."""
    message = encode_hello(Hello("0.1.0", (Held(SessionId("abc"), NOON),)))
    message.held.add(session_id="no end")
    message.held.add(session_id="x" * 257).expires_at.seconds = 1
    message.held.add(session_id="").expires_at.seconds = 1
    message.held.add(session_id="too far").expires_at.seconds = 2**62
    hello = decode_hello(message)

    assert isinstance(hello, Hello)
    assert hello.held == (Held(SessionId("abc"), NOON),)


def test_more_claims_than_a_node_can_hold_are_refused() -> None:
    """Ten thousand claims are let in, one more is not."""
    claims = tuple(Held(SessionId(str(number)), NOON) for number in range(MAX_CLAIMS + 1))

    assert isinstance(decode_hello(encode_hello(Hello("1", claims[1:]))), Hello)
    assert isinstance(decode_hello(encode_hello(Hello("1", claims))), Malformed)


@pytest.mark.parametrize(
    "message",
    [
        pb.WatchNodeRequest(version="x" * 257),
        pb.WatchNodeRequest(capabilities=["x" * 257]),
        pb.WatchNodeRequest(capabilities=["x"] * 65),
    ],
    ids=["version", "long capability", "many capabilities"],
)
def test_an_oversized_hello_is_refused(message: pb.WatchNodeRequest) -> None:
    """Nobody fills our memory or our log with a greeting."""
    assert isinstance(decode_hello(message), Malformed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.1%eth0",
        "fe80::1%eth0",
        "010.0.0.1",
        " 10.0.0.1",
        "10.0.0.1\n",
        "0x0a000001",
        "167772161",
        "\u0661\u0660.0.0.1",
        "10.0.0.1/32",
        "1" * 1_000_000,
    ],
    ids=lambda text: repr(text[:16]),
)
def test_what_is_no_address_is_none(text: str) -> None:
    """Odd spellings, zones, masks and other scripts' digits are refused, not interpreted."""
    assert decode_address(text) is None


def test_a_mapped_address_is_the_one_it_maps() -> None:
    """`::ffff:a.b.c.d` and a.b.c.d are one address, so they must be one key."""
    assert decode_address("::ffff:10.0.0.1") == ip_address("10.0.0.1")


@given(st.binary(max_size=200))
def test_reading_is_total(data: bytes) -> None:
    """Whatever message the bytes may be, reading it raises nothing."""
    for kind, read in (
        (pb.NodeUpdate, decode_update),
        (pb.WatchNodeRequest, decode_hello),
        (pb.ResolvePodsRequest, decode_question),
        (pb.ResolvePodsRequest, decode_confirm),
        (pb.ResolvePodsResponse, lambda message: decode_confirmations(message, [PodUid("u")])),
        (pb.ResolvePodsResponse, decode_resolutions),
    ):
        try:
            message = kind.FromString(data)
        except DecodeError:
            continue  # gRPC refuses it before any code of ours.
        read(message)


@given(st.text())
def test_reading_an_address_is_total(text: str) -> None:
    """No text makes reading an address raise, and what is read is spelt as it is compared."""
    address = decode_address(text)

    assert address is None or decode_address(str(address)) == address


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1))
def test_reading_a_time_is_total(seconds: int, nanos: int) -> None:
    """Any two numbers in a timestamp become a time or a named problem."""
    message = pb.NodeUpdate()
    message.heartbeat.sent_at.seconds, message.heartbeat.sent_at.nanos = seconds, nanos

    assert isinstance(decode_update(message), Heartbeat | Malformed)
