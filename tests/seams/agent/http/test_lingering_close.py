"""How connections of an endpoint end: nothing that was not taken is sent to whoever comes next.

The kernel sends again what a client has not acknowledged, closed socket or not. A client on
loopback is there for good, so it is one that does not read: what it finds in the end was sent.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from fakes.endpoint_rig import ROLES, Rig, endpoint_rig, known, pod, request
from rolecall_agent.decision import Outcome, Route
from rolecall_agent.http import lingering_close, server
from rolecall_agent.http.server_state import ServerRules
from rolecall_agent.http.timeouts import TIME_LIMITS

OWN, NEIGHBOUR = "127.0.0.2", "127.0.0.3"
PATH = f"{ROLES}/reader"
COUNT = 12  # Answers that are more than the client's kernel takes, and no more than the endpoint's.
KEPT = request(PATH) * COUNT
LAST = request(PATH, "Connection: close")
OLD = LAST.replace(b"HTTP/1.1", b"HTTP/1.0")
CLOSE = KEPT + LAST


@contextmanager
def slow_client(rig: Rig, sent: bytes, *, ends: bool = False) -> Iterator[socket.socket]:
    """Send requests whose answers nobody reads yet; *ends*: and say that there is no more."""
    with closing(socket.socket()) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.bind((OWN, 0))
        sock.connect(("127.0.0.1", rig.port))
        sock.sendall(sent)
        if ends:
            sock.shutdown(socket.SHUT_WR)
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        yield sock


async def answered(rig: Rig, sent: bytes) -> None:
    """Wait until the endpoint has no more to do with what was *sent*."""
    count = sent.count(b"\r\n\r\n")
    key = (Route.ROLE_DOCUMENT, 200, Outcome.SERVED)
    await rig.until(lambda: rig.server.counters.requests[key] == count)
    for _ in range(5):  # The turns in which the answers are written, and the connection ends.
        await rig.ask(request("/x"), NEIGHBOUR)


async def taken(sock: socket.socket) -> tuple[int, bool]:
    """Read what there is; return the number of whole answers, and whether they ended in peace."""
    read, loop = b"", asyncio.get_running_loop()
    try:
        async with asyncio.timeout(30):
            while data := await loop.sock_recv(sock, 65536):
                read += data
    except ConnectionResetError:
        return read.count(b"}"), False
    return read.count(b"}"), True


async def taken_of_dropped(rig: Rig, sent: bytes) -> tuple[int, bool]:
    """Read nothing until the connection is dropped; return what was `taken` then."""
    rig.snapshot(*known(pod(OWN), pod(NEIGHBOUR)))
    with slow_client(rig, sent) as sock:
        await rig.until(lambda: rig.server.open_connections == 1)
        await rig.until(lambda: rig.server.open_connections == 0)
        return await taken(sock)


WAYS = pytest.mark.parametrize(
    ("sent", "ends"),
    [(KEPT, False), (CLOSE, False), (KEPT + OLD, False), (KEPT, True)],
    ids=["keep-alive", "close", "http-1.0", "half-closed"],
)


@WAYS
async def test_nothing_is_sent_after_a_cut(sent: bytes, *, ends: bool) -> None:
    """Whose address has moved has no more of its answers, however its connection was ending."""
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN), pod(NEIGHBOUR)))
        with slow_client(rig, sent, ends=ends) as sock:
            await answered(rig, sent)
            rig.server.cut([pod(OWN).addresses[0]])
            await rig.until(lambda: rig.server.open_connections == 0)
            count, in_peace = await taken(sock)

    assert count < COUNT
    assert not in_peace


@pytest.mark.parametrize(
    ("sent", "ends"),
    [(CLOSE, False), (KEPT + OLD, False), (KEPT, True)],
    ids=["close", "http-1.0", "half-closed"],
)
async def test_who_reads_late_has_everything(sent: bytes, *, ends: bool) -> None:
    """Its connection is kept until it has, and ends as any does."""
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN), pod(NEIGHBOUR)))
        with slow_client(rig, sent, ends=ends) as sock:
            await answered(rig, sent)
            kept = rig.server.open_connections
            count, in_peace = await taken(sock)
            await rig.until(lambda: rig.server.open_connections == 0)

    assert kept == 1
    assert (count, in_peace) == (sent.count(b"\r\n\r\n"), True)


async def test_who_does_not_read_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some looks, each later than the last; then what is left is dropped."""
    monkeypatch.setattr(lingering_close, "FIRST_LOOK", 0.001)
    async with endpoint_rig() as rig:
        count, in_peace = await taken_of_dropped(rig, CLOSE)

    assert count < COUNT
    assert not in_peace


@pytest.mark.parametrize("last", [LAST, OLD], ids=["close", "http-1.0"])
async def test_an_answer_that_is_taken_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, last: bytes
) -> None:
    """A connection for each request is no more open than before: there is nothing to look for."""
    monkeypatch.setattr(lingering_close, "FIRST_LOOK", 1000)
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN)))
        async with rig.client() as client:
            client.send(last)
            [answer] = await client.until_closed()
            await rig.until(lambda: rig.server.open_connections == 0)

    assert answer.status == 200


async def test_who_is_dropped_late_is_sent_nothing_more() -> None:
    """A deadline ends what the kernel has, too."""
    async with endpoint_rig(rules=ServerRules(time_limits=replace(TIME_LIMITS, idle=0.05))) as rig:
        count, in_peace = await taken_of_dropped(rig, KEPT)

    assert count < COUNT
    assert not in_peace


async def test_an_idle_connection_ends_in_peace() -> None:
    """Nothing was on its way: the client sees an end, and no error."""
    async with endpoint_rig(rules=ServerRules(time_limits=replace(TIME_LIMITS, idle=0.05))) as rig:
        rig.snapshot(*known(pod(OWN)))
        async with rig.client() as client:
            client.send(request(PATH))
            await client.answer()

            assert await client._reader.read() == b""  # noqa: SLF001 - a reset would raise here


@pytest.mark.parametrize("sent", [KEPT, CLOSE], ids=["keep-alive", "close"])
async def test_who_makes_room_is_sent_nothing_more(sent: bytes) -> None:
    """Its place is another's, and a change of its address could not reach it any more."""
    async with endpoint_rig(rules=ServerRules(connections=3)) as rig:
        rig.snapshot(*known(pod(OWN), pod(NEIGHBOUR)))
        async with rig.client(), rig.client():
            with slow_client(rig, sent) as sock:
                await answered(rig, sent)
                count, in_peace = await taken(sock)

    assert count < COUNT
    assert not in_peace


@WAYS
async def test_the_end_of_the_endpoint_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, *, ends: bool
) -> None:
    """Who does not take the last answers in time has none of them later."""
    monkeypatch.setattr(server, "LAST_ANSWERS", 0.05)
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN), pod(NEIGHBOUR)))
        clients = slow_client(rig, sent, ends=ends)
        sock = clients.__enter__()
        await answered(rig, sent)
    count, in_peace = await taken(sock)
    clients.__exit__(None, None, None)

    assert count < COUNT
    assert not in_peace


async def test_what_a_crash_leaves_behind_is_soon_given_up() -> None:
    """What was on its way is the kernel's alone then, which would go on for most of a minute."""
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN)))
        async with rig.client() as client:
            client.send(request(PATH))
            await client.answer()
            [connection] = rig.server.state.limits
            sock = connection._transport.get_extra_info("socket")  # noqa: SLF001 - no other way to the server's socket

            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 3000
