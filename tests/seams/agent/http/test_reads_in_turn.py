"""Every read of a pod is a share of its turn, whatever it brings: heads, parts of one, or junk."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from fakes.endpoint_rig import LIMIT, LIST, OWN, Rig, endpoint_rig, known, pod, request
from fakes.transport import FakeTransport
from rolecall_agent.http.connection import Connection
from rolecall_agent.http.fair_queue import SHARE
from rolecall_agent.http.server_state import ServerRules
from rolecall_agent.http.timeouts import TIME_LIMITS

NEIGHBOUR = "127.0.0.3"
Opened = list[tuple[Connection, FakeTransport]]


@pytest.fixture
async def rig() -> AsyncGenerator[Rig]:
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN), pod(NEIGHBOUR)))
        yield rig


def opened(rig: Rig, count: int, address: str = OWN) -> Opened:
    connections = []
    for _ in range(count):
        connection = Connection(rig.server.state)
        transport = FakeTransport(connection, address)
        connection.connection_made(transport)
        connections.append((connection, transport))
    return connections


def send(connections: Opened, data: bytes) -> None:
    for connection, _ in connections:
        connection.data_received(data)


def reading(connections: Opened) -> int:
    return sum(transport.reads for _, transport in connections)


async def test_parts_of_heads_are_looked_at_in_turn(rig: Rig) -> None:
    """Who trickles on hundreds of connections is read no more until each had its turn."""
    trickling = opened(rig, 10 * SHARE)
    send(trickling, b"G")
    looked_at = []
    for _ in range(10):
        looked_at.append(reading(trickling))
        await asyncio.sleep(0)

    assert looked_at == [SHARE * turn for turn in range(1, 11)]


async def test_a_neighbour_of_who_trickles_is_answered_in_the_same_turn(rig: Rig) -> None:
    """It has a share of its own."""
    send(opened(rig, 10 * SHARE), b"G")
    [(connection, transport)] = opened(rig, 1, NEIGHBOUR)
    connection.data_received(LIST)

    assert transport.written.startswith(b"HTTP/1.1 200 ")


async def test_what_is_thrown_away_is_read_in_turn_too(rig: Rig) -> None:
    """After a refusal a client may go on sending for a while, and costs as much as before."""
    refused = opened(rig, 2 * SHARE)
    for connection in refused:
        send([connection], request(host="x"))
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    send(refused, b"junk")
    at_once = reading(refused)
    await asyncio.sleep(0)

    assert (at_once, reading(refused)) == (SHARE, 2 * SHARE)


async def test_a_head_that_waits_for_its_turn_has_no_more_time() -> None:
    """So long a head may take, in however many parts, and however often they must wait."""
    loop, limits = asyncio.get_running_loop(), replace(TIME_LIMITS, head=0.5)
    async with endpoint_rig(rules=ServerRules(time_limits=limits)) as rig, asyncio.timeout(LIMIT):
        begun = loop.time()
        trickling = opened(rig, 4 * SHARE)
        turns_too_many = 0
        while left := [each for each in trickling if not each[1].ended]:
            send([each for each in left if each[1].reads], b"G")
            turns_too_many += loop.time() > begun + 2 * limits.head
            await asyncio.sleep(0)

    assert loop.time() - begun >= limits.head
    assert turns_too_many < 10


async def test_a_head_that_is_whole_after_its_turn_is_answered(rig: Rig) -> None:
    """Waiting for a turn loses nothing of it."""
    trickling = opened(rig, 2 * SHARE)
    send(trickling, LIST[:20])
    await asyncio.sleep(0)
    send(trickling, LIST[20:])
    for _ in range(4):
        await asyncio.sleep(0)

    answers = [transport.written[:13] for _, transport in trickling]
    assert answers == [b"HTTP/1.1 200 "] * len(trickling)
