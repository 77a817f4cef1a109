"""One pod that opens too many connections, or asks too much, waits for itself alone."""

import contextlib
import socket
from dataclasses import replace

from fakes.endpoint_rig import (
    LIST,
    OWN,
    ROLES,
    endpoint_rig,
    known,
    pod,
    request,
)
from rolecall_agent.decision import Outcome, Route
from rolecall_agent.http.connection_limits import MOST_AT_ONCE, MOST_QUEUED
from rolecall_agent.http.fair_queue import SHARE
from rolecall_agent.http.server_state import ServerRules
from rolecall_agent.http.timeouts import TIME_LIMITS

LARGE = request(f"{ROLES}/", f"X: {'x' * 4000}")


async def test_one_pod_s_connections_stand_in_line() -> None:
    """Beyond so many at once they wait for one another, and nobody else waits for them."""
    async with endpoint_rig(rules=ServerRules(at_once=1, queued=1)) as rig:
        rig.snapshot(*known(pod(OWN), pod("127.0.0.3")))
        first_in_line = rig.client()
        first = await first_in_line.__aenter__()
        async with rig.client() as second:
            first.send(LIST + LIST[:-1])  # It has begun another one, and is not idle.
            await first.answer()
            second.send(LIST)
            [neighbour] = await rig.ask(LIST, "127.0.0.3")
            first.send(LIST[-1:])
            again = await first.answer()
            open_before = rig.server.open_connections
            await first_in_line.__aexit__(None, None, None)
            [late] = await second.rest()

    assert open_before == 2
    assert (neighbour.status, again.status, late.status) == (200, 200, 200)


async def test_who_stands_in_line_is_not_read() -> None:
    """What it sends stays in the kernel, and at its sender, until its turn has come."""
    async with endpoint_rig(rules=ServerRules(at_once=1, queued=1)) as rig:
        rig.snapshot(*known(pod(OWN)))
        first_in_line = rig.client()
        first = await first_in_line.__aenter__()
        async with rig.client() as second, rig.client("127.0.0.3") as neighbour:
            await rig.until(lambda: rig.server.open_connections == 3)
            second.send(LARGE * 1000)
            for _ in range(50):  # Any number of turns in which it could be read.
                neighbour.send(request("/x"))
                await neighbour.answer()
            [_, in_line, _] = rig.server.state.limits
            kept = len(in_line._framing._text)  # noqa: SLF001 - what it keeps is nobody's business
            first.send(LIST)
            await first.answer()
            await first_in_line.__aexit__(None, None, None)
            answers = await second.rest()

    assert kept == 0
    assert [answer.status for answer in answers] == [200] * 1000


async def test_too_many_connections_of_one_pod_are_dropped() -> None:
    """Beyond its line there is no place; its neighbour has one."""
    async with endpoint_rig(rules=ServerRules(at_once=1, queued=1)) as rig:
        rig.snapshot(*known(pod(OWN), pod("127.0.0.3")))
        async with rig.client() as first, rig.client(), rig.client() as third:
            assert await third.until_closed() == []

            [neighbour] = await rig.ask(LIST, "127.0.0.3")
            assert rig.server.open_connections == 2
            first.send(LIST)
            assert ((await first.answer()).status, neighbour.status) == (200, 200)


async def test_who_stands_in_line_for_too_long_is_dropped() -> None:
    """No SDK waits that long, and one that has gone cannot be seen from here."""
    async with endpoint_rig(
        rules=ServerRules(time_limits=replace(TIME_LIMITS, queue=0.05), at_once=1, queued=1)
    ) as rig:
        rig.snapshot(*known(pod(OWN)))
        async with rig.client() as first, rig.client() as second:
            second.send(LIST)

            assert await second.until_closed() == []
            first.send(LIST)
            assert (await first.answer()).status == 200


async def test_a_turn_begins_the_time_for_a_head() -> None:
    """Who was in line for longer than a head may take has its whole time then."""
    async with endpoint_rig(
        rules=ServerRules(time_limits=replace(TIME_LIMITS, head=1.0), at_once=1, queued=1)
    ) as rig:
        rig.snapshot(*known(pod(OWN)))
        async with rig.client() as silent, rig.client() as second:
            second.send(LIST[:-1])
            assert await silent.until_closed() == []
            second.send(LIST[-1:])

            assert (await second.answer()).status == 200


async def test_a_pod_that_asks_too_much_waits_for_itself() -> None:
    """Its neighbour is answered meanwhile, though it asks later."""
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN), pod("127.0.0.3")))
        async with contextlib.AsyncExitStack() as stack:
            noisy = [await stack.enter_async_context(rig.client()) for _ in range(20)]
            quiet = await stack.enter_async_context(rig.client("127.0.0.3"))
            await rig.until(lambda: rig.server.open_connections == 21)
            for number, client in enumerate(noisy):
                asked = [request(f"{ROLES}/{number}-{each}") for each in range(100)]
                client.send(b"".join(asked))
            quiet.send(LIST)
            answer = await quiet.answer()
            answered = rig.server.counters.requests[Route.ROLE_DOCUMENT, 404, Outcome.NOT_FOUND]
            statuses = {each.status for client in noisy for each in await client.rest()}

    assert answer.status == 200
    assert answered <= 10 * SHARE
    assert statuses == {404}


async def test_slow_senders_hold_up_nobody() -> None:
    """A hundred that send a byte at a time are dropped on time; others are answered meanwhile."""
    for head in (1.5, 6.0, 24.0):  # On a machine with other work, few turns fit into a second.
        answered = await answered_beside_slow_senders(head)
        if answered > 3:
            break

    assert answered > 3


async def answered_beside_slow_senders(head: float) -> int:
    """Return how many answers one had until a hundred slow ones were dropped, in *head* seconds."""
    async with endpoint_rig(rules=ServerRules(time_limits=replace(TIME_LIMITS, head=head))) as rig:
        rig.snapshot(*known(pod(OWN), pod("127.0.0.3")))
        async with contextlib.AsyncExitStack() as stack:
            slow = [await stack.enter_async_context(rig.client()) for _ in range(100)]
            answered = 0
            while rig.server.open_connections:
                for client in slow:
                    client.send(b"G")
                [answer] = await rig.ask(LIST, "127.0.0.3")
                answered += answer.status == 200
                await rig.until(lambda: rig.server.open_connections in (0, 100))
    return answered


async def test_thousands_of_idle_connections_of_one_pod_hold_up_nobody() -> None:
    """Some are kept, the rest is dropped at once, and another pod has its answer."""
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN), pod("127.0.0.3")))
        socks = []
        for _ in range(2500):
            sock = socket.socket()
            sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
            sock.bind((OWN, 0))
            with contextlib.suppress(BlockingIOError):
                sock.connect(("127.0.0.1", rig.port))
            socks.append(sock)
        answers = [await rig.ask(LIST, "127.0.0.3") for _ in range(10)]
        kept = rig.server.open_connections
        for sock in socks:
            sock.close()
        await rig.until(lambda: rig.server.open_connections == 0)

    assert [answer.status for [answer] in answers] == [200] * 10
    assert MOST_AT_ONCE <= kept <= MOST_AT_ONCE + MOST_QUEUED + 1
