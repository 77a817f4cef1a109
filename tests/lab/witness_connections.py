"""Stories of connections and answers when a pod goes, and the next one has its address."""

# ruff: noqa: D401 - stories are told, not commanded

import asyncio
import socket

from lab.watched import (
    NO_ANSWER,
    ROLES,
    Answer,
    agent,
    aside,
    ask,
    client,
    connect,
    listener,
    mislead,
    received,
    request,
)
from lab.witness_ground import HELD, Ground, begun, story
from rolecall_cli.lab.addresses import Kind

AGAIN = 1.5  # Seconds in which the kernel sends three times what nobody has acknowledged.


@story()
async def a_connection_does_not_outlive_its_link(ground: Ground) -> None:
    """Nothing is sent on it any more, not even again, to whoever has the address next."""
    async with agent(ground.network) as at:
        await begun(at, ground, "open")
        with client("open") as made:
            assert await connect(made)
            assert await request(made) == Answer(200, "open")
            await ground.remove("open")
            async with asyncio.timeout(2):
                while at.server.open_connections:  # noqa: ASYNC110 - others have no event
                    await asyncio.sleep(0.01)


async def _loses(ground: Ground, way: str, sent: bytes, *, ends: bool = False) -> None:
    """Lose the answer to what is *sent*, and its pod; see what comes to who has the address next.

    Names begin with *way*, for all stories share one node.
    """
    old, new = f"{way}1", f"{way}2"
    async with agent(ground.network) as at:
        address = await begun(at, ground, old)
        with client(old) as made:
            assert await connect(made)
            await aside(mislead, address)
            before = at.server.counters.requests.total()
            await asyncio.get_running_loop().sock_sendall(made, sent)
            if ends:
                made.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(2):
                while at.server.counters.requests.total() == before:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.01)
            at.ends(old)
            await ground.replace(old, new, address)
        with listener(new) as heard:
            assert await ask(new) in {HELD, NO_ANSWER}
            await asyncio.sleep(AGAIN)
            frames = list(received(heard))
        assert frames
        assert not [each for each in frames if f"secret-{old}".encode() in each]


def _document(pod: str, version: str = "1.1", *fields: str) -> bytes:
    lines = [f"GET {ROLES}{pod} HTTP/{version}", "Host: 169.254.169.254", *fields]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


@story(Kind.ROUTED)
async def an_answer_that_was_lost_is_not_sent_to_the_next(ground: Ground) -> None:
    """The kernel would send it again, to the address."""
    await _loses(ground, "keeps", _document("keeps1"))


@story(Kind.ROUTED)
async def a_last_answer_that_was_lost_is_not_sent_to_the_next(ground: Ground) -> None:
    """The endpoint is done with the connection, and the kernel is not."""
    await _loses(ground, "closes", _document("closes1", "1.1", "Connection: close"))


@story(Kind.ROUTED)
async def an_old_client_s_answer_that_was_lost_is_not_sent_to_the_next(ground: Ground) -> None:
    """HTTP/1.0 has one request to a connection."""
    await _loses(ground, "older", _document("older1", "1.0"))


@story(Kind.ROUTED)
async def an_answer_after_the_client_s_end_is_not_sent_to_the_next(ground: Ground) -> None:
    """It sends no more, and waits for what it has asked."""
    await _loses(ground, "halves", _document("halves1"), ends=True)
