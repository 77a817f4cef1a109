"""New connections of one pod, faster than they can be made, on the loop that agents run on."""

import asyncio
import contextlib
import functools
import resource
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uvloop

from fakes.endpoint_rig import LIST, OWN, Rig, endpoint_rig, known, pod
from rolecall_agent.http.acceptor import LONG

NEIGHBOUR = "127.0.0.3"
CHURNED = 7 * LONG


def on_uvloop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @functools.wraps(test)
    def run() -> None:
        uvloop.run(test())

    return run


@contextlib.contextmanager
def connecting(rig: Rig, count: int, source: str = OWN) -> Iterator[list[socket.socket]]:
    """Connect *count* times without a turn of the loop, so that the kernel's queue is long."""
    with contextlib.ExitStack() as stack:
        socks = []
        for _ in range(count):
            sock = stack.enter_context(socket.socket())
            sock.bind((source, 0))
            sock.connect(("127.0.0.1", rig.port))
            sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
            socks.append(sock)
        yield socks


async def answered(sock: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, LIST)
    return await loop.sock_recv(sock, 13)


@on_uvloop
async def test_a_neighbour_of_who_fills_the_queue_has_its_turn() -> None:
    """It is taken up before most of those that came before it, and they are taken up as well."""
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN), pod(NEIGHBOUR)))
        with connecting(rig, CHURNED) as churned, connecting(rig, 1, NEIGHBOUR) as [quiet]:
            answer = await answered(quiet)
            before = rig.server.open_connections
            await rig.until(lambda: rig.server.open_connections == CHURNED + 1)
            last = await answered(churned[0])

    assert answer == last == b"HTTP/1.1 200 "
    assert before < CHURNED / 2


@on_uvloop
async def test_who_has_hung_up_before_its_turn_is_no_connection() -> None:
    """Nothing is made of it, and nobody waits for it."""
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN), pod(NEIGHBOUR)))
        limits, most = rig.server.state.limits, 0
        with connecting(rig, CHURNED) as churned:
            for sock in churned:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with connecting(rig, 1, NEIGHBOUR) as [quiet]:
            answer = asyncio.ensure_future(answered(quiet))
            while not answer.done():
                most = max(most, len(limits))
                await asyncio.sleep(0)

    assert answer.result() == b"HTTP/1.1 200 "
    assert most <= 2


@on_uvloop
async def test_an_endpoint_that_had_no_descriptor_left_opens_again() -> None:
    """Whoever came meanwhile may be dropped; who comes then is answered."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN), pod(NEIGHBOUR)))
        with connecting(rig, 2 * LONG):
            with socket.socket() as next_one:
                lowest = next_one.fileno()
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
            try:
                for _ in range(100):
                    await asyncio.sleep(0)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            with connecting(rig, 1, NEIGHBOUR) as [quiet]:
                answer = await answered(quiet)

    assert answer == b"HTTP/1.1 200 "
