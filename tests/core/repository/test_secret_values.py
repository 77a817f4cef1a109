"""Every value that holds a secret can be printed, formatted and logged, and shows nothing of it."""

import dataclasses
import importlib
import logging
import pickle
import pkgutil
import traceback
import types
import typing
from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus
from ipaddress import ip_address

import pytest

import rolecall_agent
import rolecall_common
import rolecall_proto
import rolecall_server
from fakes.clock import START
from rolecall_agent.decision import GiveToken, Hold, Missing, Route, Serve, Target
from rolecall_agent.http.patience import ParkedRequest
from rolecall_agent.http.request import ReceivedRequest, Request
from rolecall_agent.http.response import Response
from rolecall_agent.http.response_cache import CachedResponse
from rolecall_agent.store.standing import Granted
from rolecall_common.logs import JsonLines, TextLines
from rolecall_common.secret import Secret
from rolecall_proto.values import (
    Assignment,
    Credentials,
    EndpointKeys,
    NodeName,
    PodUid,
    Session,
    SessionId,
    SessionRenewed,
    State,
)
from rolecall_server.engine.rules import BrokerRules
from rolecall_server.kube.auth.review_queue import PendingReview
from rolecall_server.kube.auth.token_claims import Claims, Holder
from rolecall_server.model.authenticator import Agent
from rolecall_server.model.issuer import Issued
from rolecall_server.rpc.certificate import KeyPair
from rolecall_server.rpc.streams import Node, Stream
from rolecall_server.sts.own_credentials import Fetched, OwnCredentials
from rolecall_server.sts.transport import Reply

CANARY = "canary7Qx" * 5
BYTES = CANARY.encode()
HOUR = timedelta(hours=1)
CREDENTIALS = Credentials("ASIA0123", Secret(CANARY), Secret(CANARY), START, START + HOUR)
SESSION = Session(SessionId("0" * 32), CREDENTIALS, START)
POD = Assignment(
    PodUid("u"), "apps", "web", "web", (ip_address("127.0.0.2"),), State.GRANTED, "reader"
)
KEYS = EndpointKeys(BYTES)
OWN = OwnCredentials("AKIA0123", Secret(CANARY), Secret(CANARY))
STREAM = Stream(Agent(NodeName("node-1")), Secret(CANARY))
CLAIMS = Claims(Holder(PodUid("u"), "agent"), "issuer", "key-1", START, START, START)
HOLD = Hold(Missing.POD, GiveToken(KEYS, HOUR))
RECEIVED = ReceivedRequest(
    Request(b"PUT", b"/", None, (), None, forwarded=False, keep_alive=True),
    Target(Route.TOKEN),
    BYTES,
    ip_address("127.0.0.2"),
    "127.0.0.2",
    at=0.0,
)
VALUES: tuple[object, ...] = (
    Secret(CANARY),
    CREDENTIALS,
    SESSION,
    SessionRenewed(SESSION),
    Granted(POD, SESSION),
    Serve(POD, SESSION, None),
    Issued(CREDENTIALS, "request"),
    OWN,
    Fetched(OWN, START),
    STREAM,
    Node([STREAM]),
    PendingReview(b"digest", Secret(CANARY), CLAIMS, proven=True),
    # These hold it as bytes.
    KEYS,
    GiveToken(KEYS, HOUR),
    HOLD,
    RECEIVED,
    ParkedRequest(RECEIVED, Missing.POD, GiveToken(KEYS, HOUR), until=1.0, patient=True),
    BrokerRules(token_secret=BYTES),
    KeyPair(b"-----BEGIN CERTIFICATE-----", BYTES, START, START),
    Reply(200, BYTES, ""),
    Response(HTTPStatus.OK, body=BYTES),
    CachedResponse(
        BYTES,
        BYTES,
        close=False,
        until=0.0,
        generation=0,
        route=Route.TOKEN,
        left=HOUR,
        tokenless=True,
    ),
    Request(b"GET", b"/", None, (BYTES,), None, forwarded=False, keep_alive=True),
)


def written(value: object) -> Iterator[str]:
    """Yield *value* in every way in which somebody might write it, by mistake or not."""
    yield from (repr(value), str(value), ascii(value), f"{value}", f"{value!r:>400}", f"{[value]}")
    yield "%s %r" % (value, value)  # noqa: UP031 - it is one of the ways
    error = ValueError("a mistake", value)
    yield "".join(traceback.format_exception(error))
    yield "".join(
        traceback.TracebackException(ValueError, error, None, capture_locals=True).format()
    )
    for lines in (JsonLines(), TextLines()):
        fields = {
            "msg": "a mistake %s",
            "args": (value,),
            "value": value,
            "exc_info": (ValueError, error, None),
        }
        yield lines.format(logging.makeLogRecord(fields))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_no_value_shows_its_secret(value: object) -> None:
    """Neither printed nor formatted, in a traceback nor as a field of the log."""
    assert [text for text in written(value) if "canary" in text] == []


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_no_value_is_pickled(value: object) -> None:
    """So it lands in no file, no cache and no other process."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(value, protocol)


def test_every_type_that_may_hold_a_secret_is_among_them() -> None:
    """Whoever adds one is told by this test."""
    kinds = {kind for package in PACKAGES for kind in dataclasses_of(package)}
    holding = {Secret}
    while grown := {kind for kind in kinds - holding if mentioned(kind) & holding}:
        holding |= grown
    hidden = {kind for kind in kinds if any(not each.repr for each in dataclasses.fields(kind))}  # type: ignore[arg-type]  # they are dataclasses

    missing = (holding | hidden) - {type(value) for value in VALUES}
    assert {kind.__qualname__ for kind in missing} == set()
    assert len(holding) > 5


PACKAGES = (rolecall_agent, rolecall_common, rolecall_proto, rolecall_server)


def dataclasses_of(package: types.ModuleType) -> Iterator[type]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(found.name)
        for kind in vars(module).values():
            if isinstance(kind, type) and dataclasses.is_dataclass(kind) and is_ours(kind):
                yield kind


def is_ours(kind: type) -> bool:
    return kind.__module__.startswith("rolecall_")


def mentioned(kind: type) -> set[object]:
    """Return every type that occurs in the fields of *kind*."""
    seen: set[object] = set()
    waiting: list[object] = [each.type for each in dataclasses.fields(kind)]  # type: ignore[arg-type]  # a dataclass
    while waiting:
        hint = waiting.pop()
        if isinstance(hint, type):
            seen.add(hint)
        # The arguments of a Callable are a list.
        waiting += hint if isinstance(hint, list) else typing.get_args(hint)
    return seen
