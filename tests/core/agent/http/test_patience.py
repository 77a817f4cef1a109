"""What a held request's client is told while it waits, and until when."""

from ipaddress import ip_address

import pytest

from fakes.endpoint_rig import request
from rolecall_agent.decision import TIMED_OUT, Missing, Route, Target
from rolecall_agent.http.patience import (
    BEGINNING,
    PATIENT_HOLD,
    STEP,
    ParkedRequest,
    times_out_in_all,
)
from rolecall_agent.http.request import ReceivedRequest, parse

CAME = 1000.0
JUST = 1e-6
# As they ask for a role's name: aws-sdk-rust, aws-sdk-go-v2, boto3, curl.
RUST = "User-Agent: aws-sdk-rust/1.7.0 ua/2.1 api/imds/1.13.0 os/linux lang/rust/1.95.0"
OTHERS = (
    "User-Agent: aws-sdk-go-v2/1.42.0 ua/2.1 os/linux lang/go#1.26.8 api/imds#1.18.28",
    "User-Agent: Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux lang/python#3.11.7",
    "User-Agent: curl/7.88.1",
    "X-Other: aws-sdk-rust/1.7.0",
)


def parked(*, patient: bool = True, hold: float = PATIENT_HOLD) -> ParkedRequest:
    head = request()
    parsed = parse(head)
    assert parsed is not None
    peer = "10.0.0.1"
    received = ReceivedRequest(
        parsed, Target(Route.ROLE_LIST), head, ip_address(peer), peer, at=CAME
    )
    return ParkedRequest(received, Missing.POD, TIMED_OUT, CAME + hold, patient)


def test_the_beginning_is_sent_byte_by_byte() -> None:
    """One each 0.4 s, the first after 0.4 s: no SDK ever waits in silence for half a second."""
    held = parked()
    said = []
    while (moment := held.next_moment()) < held.until:
        assert held.begin(moment - JUST) == b""
        said.append((round(moment - CAME, 3), held.begin(moment + JUST)))

    assert said == [
        (0.4, b"H"),
        (0.8, b"T"),
        (1.2, b"T"),
        (1.6, b"P"),
        (2.0, b"/"),
        (2.4, b"1"),
        (2.8, b"."),
        (3.2, b"1"),
    ]
    assert held.next_moment() == held.until == CAME + 3.4


def test_what_was_missed_is_made_up_for() -> None:
    """A busy loop sends what is due, and not one byte for each time that it looked."""
    held = parked()

    assert held.begin(CAME + 3 * STEP + JUST) == b"HTT"
    assert held.begin(CAME + 3 * STEP + JUST) == b""


def test_no_more_than_the_beginning_is_sent() -> None:
    """What comes after it depends on the answer."""
    held = parked(hold=60.0)

    assert held.begin(CAME + 59) == BEGINNING
    assert held.begin(CAME + 59.5) == b""
    assert held.next_moment() == CAME + 60


def test_an_impatient_request_is_told_nothing_before_its_end() -> None:
    """It is answered whole."""
    held = parked(patient=False, hold=0.9)

    assert held.next_moment() == CAME + 0.9
    assert held.begin(CAME + 0.8) == b""


def test_the_sdk_for_rust_is_known_by_its_user_agent() -> None:
    """It alone counts the time until a whole answer, and does not ask again after it."""
    assert times_out_in_all(request("/", RUST))
    assert times_out_in_all(request("/", RUST.replace("User-Agent", "user-agent")))
    assert times_out_in_all(request("/", "User-Agent: app/1.0 aws-sdk-rust/1.7.0"))


@pytest.mark.parametrize("field", OTHERS)
def test_others_are_patient(field: str) -> None:
    """What another header says is no User-Agent."""
    assert not times_out_in_all(request("/", field))
