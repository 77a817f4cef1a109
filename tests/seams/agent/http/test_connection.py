"""One connection: its pieces, its deadlines, and what is read of it when."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from fakes.endpoint_rig import (
    DOCUMENT,
    LIST,
    LONG,
    OWN,
    ROLES,
    Client,
    Rig,
    endpoint_rig,
    known,
    pod,
    request,
)
from rolecall_agent.decision import Outcome, Route
from rolecall_agent.http.connection_state import State
from rolecall_agent.http.server_state import ServerRules
from rolecall_agent.http.timeouts import TIME_LIMITS

LARGE = request(f"{ROLES}/", f"X: {'x' * 4000}")


@pytest.fixture
async def rig() -> AsyncGenerator[Rig]:
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN)))
        yield rig


async def test_a_request_in_pieces_is_one_request(rig: Rig) -> None:
    """Every byte may come alone."""
    async with rig.client() as client:
        for byte in DOCUMENT:
            client.send(bytes([byte]))
            await asyncio.sleep(0)

        assert (await client.answer()).status == 200


async def test_a_slow_head_is_cut_off() -> None:
    """Whoever has begun a request ends it in time; a byte now and then buys nothing."""
    async with endpoint_rig(rules=ServerRules(time_limits=replace(TIME_LIMITS, head=0.5))) as rig:
        rig.snapshot(*known(pod(OWN)))
        async with rig.client() as silent, rig.client() as slow:
            slow.send(LIST + LIST[:10])

            assert [answer.status for answer in await slow.until_closed()] == [200]
            assert await silent.until_closed() == []


async def test_a_head_that_is_answered_from_memory_came_in_time() -> None:
    """A connection whose first request is a known one is as good as any, and may go on."""
    async with endpoint_rig(rules=ServerRules(time_limits=replace(TIME_LIMITS, head=0.5))) as rig:
        rig.snapshot(*known(pod(OWN)))
        async with rig.client() as first, rig.client() as second, rig.client() as silent:
            for client in (first, second):
                client.send(LIST)
                assert (await client.answer()).status == 200
            # By then the time for a head is over for all three.
            assert await silent.until_closed() == []
            for client in (first, second):
                client.send(LIST)
                assert (await client.answer()).status == 200


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not() -> None:
    """The wait begins anew with each answer, one from memory included."""
    async with endpoint_rig(rules=ServerRules(time_limits=replace(TIME_LIMITS, idle=0.5))) as rig:
        rig.snapshot(*known(pod(OWN)))
        loop = asyncio.get_running_loop()
        async with rig.client() as idle, rig.client() as busy:
            idle.send(LIST)
            closed = asyncio.ensure_future(idle.until_closed())
            begun = loop.time()
            while not closed.done():
                busy.send(LIST)
                assert (await busy.answer()).status == 200

            assert len(closed.result()) == 1
            assert loop.time() - begun >= 0.5


async def test_a_client_that_does_not_read_is_not_read_from(rig: Rig) -> None:
    """Answers do not pile up without bound; once it reads, it gets all of them in order."""
    count = 4000
    async with rig.client() as client:
        client.send(DOCUMENT * count)
        client.end()
        answers = await client.until_closed()

    assert [answer.status for answer in answers] == [200] * count


async def test_what_is_behind_a_waiting_request_is_not_read() -> None:
    """One read's worth is here at the most, however much was sent."""
    async with endpoint_rig(hold=LONG) as rig:
        rig.snapshot()
        async with rig.client() as client:
            client.send(LIST)
            await rig.parked.wait()
            client.send(LARGE * 1000)
            [connection] = rig.server.state.limits
            await rig.until(lambda: not connection._transport.is_reading())  # noqa: SLF001 - as above
            kept = len(connection._framing._text)  # noqa: SLF001 - as above
            rig.tell(*known(pod(OWN)))
            answers = await client.rest()

    assert 0 < kept <= 16 * 1024
    assert len(answers) == 1001


async def test_a_client_that_never_reads_is_dropped() -> None:
    """It is not waited for beyond a deadline of its own."""
    async with endpoint_rig(
        rules=ServerRules(time_limits=replace(TIME_LIMITS, reader=0.05))
    ) as rig:
        rig.snapshot(*known(pod(OWN)))
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind((OWN, 0))
        sock.connect(("127.0.0.1", rig.port))
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        await asyncio.get_running_loop().sock_sendall(sock, DOCUMENT * 300)
        await rig.until(lambda: rig.server.open_connections == 1)
        await rig.until(lambda: rig.server.open_connections == 0)
        sock.close()


async def test_a_client_that_closes_and_never_reads_is_dropped() -> None:
    """An answer that ends the connection is not kept for it for ever either."""
    async with endpoint_rig(
        rules=ServerRules(time_limits=replace(TIME_LIMITS, reader=0.05))
    ) as rig:
        rig.snapshot(*known(pod(OWN)))
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind((OWN, 0))
        sock.connect(("127.0.0.1", rig.port))
        sock.sendall(DOCUMENT * 60 + request(f"{ROLES}/reader", "Connection: close"))
        await rig.until(lambda: rig.server.open_connections == 1)
        await rig.until(lambda: rig.server.open_connections == 0)
        sock.close()


async def test_who_does_not_read_answers_at_hand_has_no_longer_than_others() -> None:
    """An answer from the cache of responses may be the one that is too much, as any may."""
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN)))
        loop, count = asyncio.get_running_loop(), 0
        with contextlib.closing(socket.socket()) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.bind((OWN, 0))
            sock.connect(("127.0.0.1", rig.port))
            sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
            await rig.until(lambda: rig.server.open_connections == 1)
            [connection] = rig.server.state.limits
            while connection._state is not State.BLOCKED:  # noqa: SLF001 - it tells nobody else
                count += 1
                await loop.sock_sendall(sock, DOCUMENT)
                await rig.until(lambda: _answered(rig) == count)  # noqa: B023 - it is over by then

            assert connection.due <= loop.time() + TIME_LIMITS.reader


def _answered(rig: Rig) -> int:
    return rig.server.counters.requests[Route.ROLE_DOCUMENT, 200, Outcome.SERVED]


async def test_a_punctual_pipeliner_goes_on() -> None:
    """Part of the next head is always here, and never the same one for long."""
    async with endpoint_rig(rules=ServerRules(time_limits=replace(TIME_LIMITS, head=0.5))) as rig:
        rig.snapshot(*known(pod(OWN)))
        loop = asyncio.get_running_loop()
        async with rig.client() as client:
            begun = loop.time()
            client.send(LIST[:9])
            while loop.time() - begun < 1.5:
                client.send(LIST[9:] + LIST[:9])
                assert (await client.answer()).status == 200

            assert await client.until_closed() == []  # The last one was never ended.


async def test_an_idle_connection_is_closed_on_time() -> None:
    """One that was active for a while is idle from its last request on, and not a period longer.

    So it is closed before another one whose last request came later.
    """
    async with endpoint_rig(rules=ServerRules(time_limits=replace(TIME_LIMITS, idle=2.0))) as rig:
        rig.snapshot(*known(pod(OWN)))
        async with rig.client() as client, rig.client() as later:
            await _ask_on(client, 0.2)
            closed = asyncio.ensure_future(client.until_closed())
            await _ask_on(later, 1.6)
            over = asyncio.ensure_future(later.until_closed())
            await asyncio.wait({closed, over}, return_when=asyncio.FIRST_COMPLETED)

            assert closed.done()
            assert not over.done()
            await over


async def _ask_on(client: Client, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while loop.time() - begun < seconds:
        client.send(LIST)
        assert (await client.answer()).status == 200


async def test_small_answers_leave_at_once(rig: Rig) -> None:
    """Nagle's algorithm would hold back what follows a first answer."""
    async with rig.client() as client:
        client.send(LIST)
        await client.answer()
        [connection] = rig.server.state.limits
        sock = connection._transport.get_extra_info("socket")  # noqa: SLF001 - no other way to the server's socket

        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
