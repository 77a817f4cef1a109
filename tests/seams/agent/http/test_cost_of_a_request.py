"""What a request costs, in calls: pods ask once in minutes, so no answer is at hand for them."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from ipaddress import ip_address

import pytest

from fakes.calls import python_calls
from fakes.endpoint_rig import KEYS, OWN, ROLES, Rig, endpoint_rig, known, pod
from fakes.transport import FakeTransport
from rolecall_agent.http.connection import Connection
from rolecall_agent.metadata import tokens

# Functions written in Python. There were 71 without a token, and 82 with one; now 36 and 46, and a
# few more where the tests before have left tables fuller.
MOST_CALLS = 42
MOST_CALLS_WITH_TOKEN = 52


@pytest.fixture
async def rig() -> AsyncGenerator[Rig]:
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN)))
        yield rig


def head(number: int, *fields: bytes) -> bytes:
    line = f"GET {ROLES}/reader?n={number} HTTP/1.1".encode()
    return b"\r\n".join([line, b"Host: 169.254.169.254", *fields, b"", b""])


def cost(rig: Rig, *fields: bytes) -> int:
    """Return what the third of three requests costs that differ in their query."""
    connection = Connection(rig.server.state)
    transport = FakeTransport(connection, OWN)
    connection.connection_made(transport)
    for number in (1, 2):
        connection.data_received(head(number, *fields))
    third = head(3, *fields)
    calls = python_calls(lambda: connection.data_received(third))
    assert transport.written.count(b"HTTP/1.1 200 OK\r\n") == 3
    return calls


async def test_a_request_that_differs_takes_few_calls(rig: Rig) -> None:
    """Its head is known but for the query, and its document is written."""
    assert cost(rig) <= MOST_CALLS


async def test_a_token_adds_few(rig: Rig) -> None:
    """It is cut out of the head, and proven each time."""
    life, nonce = timedelta(hours=6), bytes(tokens.NONCE_SIZE)
    token = tokens.issue(KEYS.token_key, ip_address(OWN), life, rig.clock.now(), nonce)

    assert cost(rig, b"x-aws-ec2-metadata-token: " + token) <= MOST_CALLS_WITH_TOKEN


async def test_what_is_kept_of_a_head_is_changed_by_nobody_who_sends_it(rig: Rig) -> None:
    """An answer that is the last of its connection is that of no other."""
    for leaving in (True, False):
        rig.server.state.leaving = leaving
        connection = Connection(rig.server.state)
        transport = FakeTransport(connection, OWN)
        connection.connection_made(transport)
        connection.data_received(head(int(leaving)))

        assert (b"Connection: close" in transport.written) == leaving
