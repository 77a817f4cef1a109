"""What an agent asks, and what it is answered, arrives as it was sent; else it is refused."""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from rolecall_proto.codec import (
    MAX_HELD,
    MAX_QUESTIONS,
    Malformed,
    decode_confirm,
    decode_confirmations,
    decode_hello,
    decode_question,
    decode_resolutions,
    encode_hello,
    encode_question,
    encode_resolutions,
)
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.values import Confirmation, Held, Hello, PodUid, Resolution, SessionId

NOON = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def test_a_hello_arrives_as_it_was_sent() -> None:
    """Version, capabilities and held sessions survive the bytes of the wire unchanged."""
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
    started_at = datetime(2026, 12, 1, 12, 0, 7, tzinfo=UTC)
    here = Confirmation((ip_address("10.0.0.1"), ip_address("fd00::1")), started_at)
    sent = encode_resolutions([], [here, Confirmation(), None])

    assert decode_confirmations(sent, asked) == {"here": here, "gone": Confirmation()}


def test_confirmations_of_an_older_server_are_none() -> None:
    """It does not know the question, and so answers less than was asked."""
    assert decode_confirmations(encode_resolutions([]), (PodUid("here"),)) == {}


def test_a_broken_held_session_is_left_out() -> None:
    """It would only spare a push, so one that cannot be read is none, and the others count."""
    message = encode_hello(Hello("0.1.0", (Held(SessionId("abc"), NOON),)))
    message.held.add(session_id="no end")
    message.held.add(session_id="x" * 257).expires_at.seconds = 1
    message.held.add(session_id="").expires_at.seconds = 1
    message.held.add(session_id="too far").expires_at.seconds = 2**62
    hello = decode_hello(message)

    assert isinstance(hello, Hello)
    assert hello.held == (Held(SessionId("abc"), NOON),)


def test_more_held_sessions_than_a_node_can_hold_are_refused() -> None:
    """Ten thousand are let in, one more is not."""
    held = tuple(Held(SessionId(str(number)), NOON) for number in range(MAX_HELD + 1))

    assert isinstance(decode_hello(encode_hello(Hello("1", held[1:]))), Hello)
    assert isinstance(decode_hello(encode_hello(Hello("1", held))), Malformed)


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
