"""A scene notices what it is there to notice: each endpoint here breaks one rule."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from fuzz.loop import Loop
from fuzz.scene import play
from fuzz.wire import BrokenRuleError
from fuzz.world import ADDRESSES
from rolecall_agent.decision import Answer, Decision, Refuse
from rolecall_agent.http.client import Client
from rolecall_agent.http.parked_requests import ParkedRequest
from rolecall_agent.http.request import ReceivedRequest
from rolecall_agent.metadata.endpoint import MetadataEndpoint
from rolecall_agent.metadata.tokens import NONCE_SIZE, issue

SECOND = timedelta(seconds=1)
HOST = b" HTTP/1.1\r\nHost: 169.254.169.254\r\n"
ROLES = b"GET /latest/meta-data/iam/security-credentials/"
LISTED = ROLES + HOST + b"\r\n"
DOCUMENT = ROLES + b"role-1" + HOST + b"\r\n"


class Blind(MetadataEndpoint):
    """Takes everybody for the first pod."""

    def decide(self, received: ReceivedRequest, now: datetime) -> Decision:
        received.peer = ADDRESSES[0]
        return super().decide(received, now)


class Trusting(MetadataEndpoint):
    """Looks at no token."""

    def decide(self, received: ReceivedRequest, now: datetime) -> Decision:
        received.request = replace(received.request, tokens=())
        return super().decide(received, now)


class Lenient(MetadataEndpoint):
    """Asks nobody for a token."""

    def decide(self, received: ReceivedRequest, now: datetime) -> Decision:
        if not received.request.tokens and self._cache.keys is not None:
            given = issue(self._cache.keys.token_key, received.peer, SECOND, now, bytes(NONCE_SIZE))
            received.request = replace(received.request, tokens=(given,))
        return super().decide(received, now)


class Mute(MetadataEndpoint):
    """Answers no refusal."""

    def render(self, received: ReceivedRequest, answer: Answer, now: datetime) -> bytes:
        response = super().render(received, answer, now)
        return b"" if isinstance(answer, Refuse) else response


class Careless(MetadataEndpoint):
    """Sends one byte more than it says."""

    def render(self, received: ReceivedRequest, answer: Answer, now: datetime) -> bytes:
        return super().render(received, answer, now) + b"x"


class Stale(MetadataEndpoint):
    """Gives whoever has had an answer the same one ever after."""

    def render(self, received: ReceivedRequest, answer: Answer, now: datetime) -> bytes:
        response = super().render(received, answer, now)
        return _GIVEN.setdefault(received.head, response) if b" 200 " in response else response


class Patient(MetadataEndpoint):
    """Holds for ever."""

    def park(self, client: Client, parked: ParkedRequest) -> None:
        parked.until, parked.patient = math.inf, False
        super().park(client, parked)


class Crashing(MetadataEndpoint):
    """Raises what no one has thought of."""

    def decide(self, received: ReceivedRequest, now: datetime) -> Decision:
        if not received.request.path.isascii() or b"crash" in received.request.path:
            raise LookupError
        return super().decide(received, now)


_GIVEN: dict[bytes, bytes] = {}


@pytest.fixture
def loop() -> Iterator[Loop]:
    """Make a loop for one scene alone: what breaks a rule may leave something on it."""
    with contextlib.closing(Loop()) as made:
        yield made


@pytest.mark.parametrize(
    ("endpoint", "script", "rule"),
    [
        (Blind, b"\xf6\x01" + LISTED, "the name of another role"),
        (Blind, b"\xf6\x01" + DOCUMENT, "the credentials of another session"),
        (Blind, b"\xf6\x07" + DOCUMENT, "nothing is granted to"),
        (Blind, b"", "an entitled pod is told"),  # The scene asks by itself, too.
        (Trusting, ROLES + HOST + b"X-aws-ec2-metadata-token: \xfd\x01\r\n\r\n", "none of this"),
        (Lenient, b"\xf6\x02" + LISTED, "without the token"),
        (Mute, b"GET /none" + HOST + b"\r\n", "a request without an answer"),
        (Careless, LISTED, "no head of an answer"),
        (Stale, DOCUMENT + b"\xf7\x20" + DOCUMENT, "the credentials of another session"),
        (Patient, b"\xf6\x07" + LISTED, "a request without an answer"),
    ],
)
def test_a_broken_rule_is_noticed(
    loop: Loop, endpoint: type[MetadataEndpoint], script: bytes, rule: str
) -> None:
    """A scene that is played to such an endpoint ends with what is wrong."""
    _GIVEN.clear()

    with pytest.raises(BrokenRuleError, match=rule):
        play(script, loop, endpoint)


def test_an_error_of_the_endpoint_is_noticed(loop: Loop) -> None:
    """What its code raises, whatever it is, ends the scene."""
    with pytest.raises(LookupError):
        play(b"GET /crash" + HOST + b"\r\n", loop, Crashing)
