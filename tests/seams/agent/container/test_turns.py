"""Pods of the node's own network have one address, and a turn each once they have proven who."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from fakes.authentication import signed
from fakes.container_rig import (
    PATH,
    ContainerRig,
    asking,
    container_rig,
    loaded,
    said,
    token,
    web,
)
from fakes.endpoint_rig import LONG, known, pod
from fakes.transport import FakeTransport
from rolecall_agent.http.connection import Connection
from rolecall_agent.http.fair_queue import PARSING, SHARE

HOST = "127.0.0.1"  # The address of all of them.
OTHER = "10.0.0.2"
HEADS = SHARE // (1 + PARSING)  # that one turn has room for; those with a token are parsed each
FLOOD = 6 * SHARE  # Not so many that connections must stand in line.
Opened = tuple[Connection, FakeTransport]


@pytest.fixture
async def rig() -> AsyncGenerator[ContainerRig]:
    """Have two pods, one of which has been answered before."""
    async with container_rig(LONG) as rig:
        await loaded(rig)
        rig.snapshot(*known(web(), pod(OTHER, uid="uid-b")))
        yield rig


def token_of_other(**changed: object) -> str:
    return token("uid-b", f"pod-{OTHER}", **changed)


def forged() -> str:
    """Return a token of the pod that has proven itself, as it says, by a stranger."""
    return signed(said(), "key-2", kid="key-1").reveal()


def opened(rig: ContainerRig, count: int = 1) -> list[Opened]:
    connections = []
    for _ in range(count):
        connection = Connection(rig.server.state)
        transport = FakeTransport(connection, HOST)
        connection.connection_made(transport)
        connections.append((connection, transport))
    return connections


def asked(rig: ContainerRig, shown: str, count: int = 1) -> list[FakeTransport]:
    """Ask on a new connection each, as SDKs do, by heads of which no two are the same."""
    transports = []
    for number, (connection, transport) in enumerate(opened(rig, count)):
        connection.data_received(asking(shown, f"{PATH}?{count}-{number}", host=HOST))
        transports.append(transport)
    return transports


def answered(transports: list[FakeTransport]) -> int:
    return sum(transport.written.startswith(b"HTTP/1.1 ") for transport in transports)


def was_served(transport: FakeTransport) -> bool:
    return transport.written.startswith(b"HTTP/1.1 200 ")


async def test_a_pod_that_floods_leaves_another_of_its_address_its_turn(
    rig: ContainerRig,
) -> None:
    """Both have proven who they are: one has its share, the other its answer in the same turn."""
    await rig.ask(token_of_other())
    flood = asked(rig, token_of_other(), FLOOD)
    [quiet] = asked(rig, token())

    assert was_served(quiet)
    assert answered(flood) == HEADS


@pytest.mark.parametrize("shown", ["garbage", forged(), token_of_other(exp=1)])
async def test_who_has_proven_nothing_takes_no_turn_of_who_has(
    rig: ContainerRig, shown: str
) -> None:
    """Nor by the uid of the other, if its token says so and was never verified."""
    flood = asked(rig, shown, FLOOD)
    [quiet] = asked(rig, token())

    assert was_served(quiet)
    assert answered(flood) <= HEADS


async def test_parts_of_heads_are_of_nobody_who_has_proven_himself(rig: ContainerRig) -> None:
    """A part says nothing yet, and is a share of the address's turn."""
    for connection, _ in opened(rig, FLOOD):
        connection.data_received(asking(token(), host=HOST)[:-1])
    [quiet] = asked(rig, token())

    assert was_served(quiet)


async def test_who_has_proven_nothing_waits_with_its_address(rig: ContainerRig) -> None:
    """Once it is verified it has a turn of its own, in which whoever floods there has no share."""
    asked(rig, "garbage", FLOOD)
    [first] = asked(rig, token_of_other())
    at_once = was_served(first)
    while not was_served(first):  # noqa: ASYNC110 - a turn of the loop is what it waits for
        await asyncio.sleep(0)
    asked(rig, "garbage", FLOOD)
    [second] = asked(rig, token_of_other())

    assert not at_once
    assert was_served(second)


async def test_a_pod_that_floods_is_answered_in_its_later_turns(rig: ContainerRig) -> None:
    """What is more than its share is not lost."""
    flood = asked(rig, token(), 3 * HEADS)
    turns = []
    for _ in range(3):
        turns.append(answered(flood))
        await asyncio.sleep(0)

    assert turns == [HEADS, 2 * HEADS, 3 * HEADS]
