"""The metadata endpoint over real sockets: holding, waking, ending, and what it counts."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from fakes.endpoint_rig import (
    KEYS,
    ROLES,
    START,
    Client,
    Rig,
    endpoint_rig,
    known,
    pod,
    request,
    session,
)
from fakes.replica import Certificates
from rolecall_agent.decision import Missing, Outcome, Route
from rolecall_agent.http.connection_limits import MOST_AT_ONCE, MOST_QUEUED
from rolecall_agent.http.fair_queue import SHARE
from rolecall_agent.http.server_state import HOLD, ServerRules
from rolecall_agent.http.timeouts import TIME_LIMITS
from rolecall_agent.metrics import METRICS, AgentCollector
from rolecall_agent.sync.ca_bundle import CaBundleFile
from rolecall_agent.sync.stream import Statistics as StreamStatistics
from rolecall_agent.sync.stream_end import EndReason
from rolecall_proto.values import (
    AssignmentUpserted,
    EndpointKeys,
    Heartbeat,
    PodRemoved,
    PodUid,
    Reason,
    SessionRenewed,
    State,
)

OWN = "127.0.0.2"
LIST = request()
DOCUMENT = request(f"{ROLES}/reader")
LARGE = request(f"{ROLES}/", f"X: {'x' * 4000}")
TTL = "X-aws-ec2-metadata-token-ttl-seconds: 60"
PUT = request("/latest/api/token", TTL, method="PUT")
LONG = timedelta(seconds=60)  # A hold that a test ends by an event, or loses.


def with_token(token: str, path: str = f"{ROLES}/reader") -> bytes:
    return request(path, f"X-aws-ec2-metadata-token: {token}")


@pytest.fixture
async def rig() -> AsyncGenerator[Rig]:
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN)))
        yield rig


async def test_the_document_has_the_seven_fields(rig: Rig) -> None:
    """Times are whole seconds in UTC, and the end is the reported one."""
    [answer] = await rig.ask(DOCUMENT)

    assert answer.body.decode() == (
        "{\n"
        '  "Code": "Success",\n'
        '  "LastUpdated": "2026-05-04T12:00:00Z",\n'
        '  "Type": "AWS-HMAC",\n'
        '  "AccessKeyId": "ASIA1",\n'
        '  "SecretAccessKey": "secret-of-s1",\n'
        '  "Token": "token-of-s1",\n'
        '  "Expiration": "2026-05-04T12:55:00Z"\n'
        "}"
    )
    assert answer.headers == {
        "server": "EC2ws",
        "date": "Mon, 04 May 2026 12:00:00 GMT",
        "content-type": "text/plain",
        "cache-control": "no-store",
        "content-length": str(len(answer.body)),
    }


async def test_the_list_is_one_line_without_an_end(rig: Rig) -> None:
    """Clients take the whole body for the name."""
    [answer] = await rig.ask(LIST)

    assert answer.body == b"reader"


async def test_head_tells_the_length_and_sends_no_body(rig: Rig) -> None:
    """What GET would have sent is counted, not sent."""
    [whole] = await rig.ask(DOCUMENT)
    async with rig.client() as client:
        client.send(request(f"{ROLES}/reader", method="HEAD"))
        [answer] = await client.rest(has_body=False)

    assert answer.headers["content-length"] == str(len(whole.body))


async def test_a_token_echoes_its_life_and_is_as_long_as_ec2s(rig: Rig) -> None:
    """Go and Rust want the echo; the C runtime breaks beyond 64 characters."""
    [answer] = await rig.ask(PUT)

    assert len(answer.body) == 56
    assert answer.headers["x-aws-ec2-metadata-token-ttl-seconds"] == "60"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_token_outlives_the_agent() -> None:
    """Its key comes with the snapshot: another process takes it as the first one did."""
    async with endpoint_rig() as first:
        first.snapshot(*known(pod(OWN)))
        [given] = await first.ask(PUT)
    async with endpoint_rig() as second:
        second.snapshot(*known(pod(OWN, imdsv2_required=True)))
        [answer] = await second.ask(with_token(given.body.decode()))

    assert answer.status == 200


async def test_a_token_ends_on_a_connection_that_stays(rig: Rig) -> None:
    """An answer from memory does not outlive the token that earned it."""
    async with rig.client() as client:
        client.send(PUT)
        shown = with_token((await client.answer()).body.decode())
        client.send(shown)
        first = await client.answer()
        rig.clock.advance(timedelta(seconds=60))
        rig.tell(AssignmentUpserted(pod("127.0.0.99")))  # The real second need not pass.
        client.send(shown)

        assert (first.status, (await client.answer()).status) == (200, 401)


async def test_new_keys_end_the_old_tokens(rig: Rig) -> None:
    """A key that was replaced proves nothing any more."""
    async with rig.client() as client:
        client.send(PUT)
        shown = with_token((await client.answer()).body.decode())
        client.send(shown)
        before = await client.answer()
        rig.tell(EndpointKeys(bytes(32), KEYS.base_arn))
        client.send(shown)

        assert (before.status, (await client.answer()).status) == (200, 401)


async def test_required_tokens_are_required_of_unknown_addresses_too() -> None:
    """Where the whole cluster wants IMDSv2, nobody is held without a token."""
    async with endpoint_rig() as rig:
        rig.snapshot(keys=EndpointKeys(KEYS.token_key, KEYS.base_arn, imdsv2_required=True))
        [answer] = await rig.ask(LIST)

    assert answer.status == 401


async def test_a_change_of_role_is_served_at_once(rig: Rig) -> None:
    """On a connection that has its answer in memory, the next one is the new one."""
    async with rig.client() as client:
        client.send(DOCUMENT)
        await client.answer()
        client.send(DOCUMENT)
        await client.answer()
        rig.tell(SessionRenewed(session(key="ASIA2")))
        client.send(DOCUMENT)
        renewed = await client.answer()
        rig.tell(PodRemoved(PodUid(f"uid-{OWN}")))
        client.send(DOCUMENT)
        gone = await client.answer()

    assert b"ASIA2" in renewed.body
    assert gone.status == 503


async def test_memory_is_kept_apart_by_peer(rig: Rig) -> None:
    """The same bytes from another pod are another question."""
    other = pod("127.0.0.3", State.DENIED, Reason.NAMESPACE_FORBIDS)
    rig.tell(AssignmentUpserted(other))
    statuses = [(await rig.ask(DOCUMENT, source))[0].status for source in (OWN, "127.0.0.3") * 2]

    assert statuses == [200, 404, 200, 404]


async def test_credentials_are_not_served_past_their_true_end(rig: Rig) -> None:
    """To the last second 200, then 503: STS must be away."""
    rig.clock.advance(timedelta(minutes=59, seconds=59))
    [last] = await rig.ask(DOCUMENT)
    rig.clock.advance(timedelta(seconds=1))
    [after] = await rig.ask(request(f"{ROLES}/reader", "X-Not-From: memory"))

    assert (last.status, after.status) == (200, 503)


async def test_a_pod_that_comes_late_is_answered_by_the_event() -> None:
    """Its request is parked, the server is asked, and the snapshot's change wakes it."""
    async with endpoint_rig(hold=LONG) as rig:
        rig.snapshot()
        async with rig.client() as client:
            client.send(LIST)
            await rig.parked.wait()
            rig.tell(*known(pod(OWN)))
            answer = await client.answer()

        assert answer.body == b"reader"
        assert [str(address) for address in rig.asked] == [OWN]
        assert +rig.server.counters.requests == {(Route.ROLE_LIST, 200, Outcome.HELD_SERVED): 1}
        assert sum(rig.server.counters.holds[Missing.POD].counts) == 1


async def test_a_waiting_pod_is_refused_as_soon_as_it_is_known_to_be_denied() -> None:
    """A no is worth telling at once."""
    async with endpoint_rig(hold=LONG) as rig:
        rig.snapshot(AssignmentUpserted(pod(OWN, State.PENDING, Reason.CREDENTIALS_PENDING)))
        async with rig.client() as client:
            client.send(LIST)
            await rig.parked.wait()
            rig.tell(AssignmentUpserted(pod(OWN, State.FAILED, Reason.ACCESS_DENIED)))

            assert (await client.answer()).status == 404


async def test_everything_waits_for_the_first_snapshot() -> None:
    """Even a token: its key is not here yet. Nobody can be asked, and so nobody is."""
    async with endpoint_rig(hold=LONG) as rig, rig.client() as one, rig.client("127.0.0.3") as two:
        one.send(PUT)
        two.send(request("/latest/user-data"))
        await rig.until(lambda: rig.endpoint.held_requests == 2)
        rig.snapshot()
        statuses = (await one.answer()).status, (await two.answer()).status

        assert statuses == (200, 404)
        assert rig.asked == []


async def test_a_held_request_is_answered_503_with_retry_after(rig: Rig) -> None:
    """The answer comes when the hold ends, and asks for another try in a second."""
    [answer] = await rig.ask(LIST, "127.0.0.99")

    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert +rig.server.counters.requests == {(Route.ROLE_LIST, 503, Outcome.TIMEOUT): 1}
    assert rig.endpoint.held_requests == 0


async def test_the_hold_is_nine_tenths_of_a_second() -> None:
    """SDKs give up after one."""
    async with endpoint_rig(hold=HOLD) as rig:
        rig.snapshot()
        begun = asyncio.get_running_loop().time()
        [answer] = await rig.ask(LIST)
        took = asyncio.get_running_loop().time() - begun

    assert answer.status == 503
    assert timedelta(milliseconds=900) == HOLD
    assert took > 0.88


async def test_a_client_that_leaves_is_not_waited_for() -> None:
    """Nothing is kept of a parked request whose connection is gone."""
    async with endpoint_rig(hold=LONG) as rig:
        rig.snapshot()
        async with rig.client() as client:
            client.send(LIST)
            await rig.parked.wait()
        sock = socket.create_connection(("127.0.0.1", rig.port), source_address=("127.0.0.3", 0))
        sock.sendall(LIST)
        await rig.until(lambda: rig.endpoint.held_requests == 2)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()  # With a reset.
        await rig.until(lambda: rig.endpoint.held_requests == 1)

        assert rig.server.open_connections == 1


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


async def test_one_pod_s_connections_stand_in_line() -> None:
    """Beyond so many at once they wait for one another, and nobody else waits for them."""
    async with endpoint_rig(rules=ServerRules(at_once=1, queued=1)) as rig:
        rig.snapshot(*known(pod(OWN), pod("127.0.0.3")))
        first_in_line = rig.client()
        first = await first_in_line.__aenter__()
        async with rig.client() as second:
            first.send(LIST)
            await first.answer()
            second.send(LIST)
            [neighbour] = await rig.ask(LIST, "127.0.0.3")
            first.send(LIST)
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


async def test_too_many_connections_of_one_pod_are_dropped() -> None:
    """Beyond its line there is no place; its neighbour has one."""
    async with endpoint_rig(rules=ServerRules(at_once=1, queued=1)) as rig:
        rig.snapshot(*known(pod(OWN), pod("127.0.0.3")))
        async with rig.client() as first, rig.client(), rig.client() as third:
            assert await third.until_closed() == []

            first.send(LIST)
            [neighbour] = await rig.ask(LIST, "127.0.0.3")
            assert ((await first.answer()).status, neighbour.status) == (200, 200)
            assert rig.server.open_connections == 2


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
    async with endpoint_rig(rules=ServerRules(time_limits=replace(TIME_LIMITS, head=1.5))) as rig:
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

    assert answered > 3


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


async def test_the_end_answers_who_waits() -> None:
    """An agent that stops says 503 at once and closes."""
    async with endpoint_rig(hold=LONG) as rig:
        rig.snapshot()
        client_context = rig.client()
        client = await client_context.__aenter__()
        client.send(LIST)
        await rig.parked.wait()
    [answer] = await client.until_closed()
    await client_context.__aexit__(None, None, None)

    assert answer.status == 503


async def test_the_first_serve_of_a_session_is_told_once(rig: Rig) -> None:
    """Once for each pod and set of credentials, by the document and not by the list."""
    await rig.ask(LIST)
    told_by_the_list = list(rig.served)
    for _ in range(3):
        await rig.ask(DOCUMENT)
    rig.tell(SessionRenewed(session(key="ASIA2")))
    await rig.ask(DOCUMENT)

    assert told_by_the_list == []
    assert rig.served == [
        (f"uid-{OWN}", "ASIA1 metadata"),
        (f"uid-{OWN}", "ASIA2 metadata"),
    ]


async def test_answers_from_memory_are_counted_as_all_others(rig: Rig) -> None:
    """How a document was found makes no difference to what the metrics say."""
    async with rig.client() as client:
        for _ in range(5):
            client.send(DOCUMENT)
            await client.answer()
    counters = rig.server.counters

    assert +counters.requests == {(Route.ROLE_DOCUMENT, 200, Outcome.SERVED): 5}
    assert sum(counters.durations[Route.ROLE_DOCUMENT].counts) == 5
    assert sum(counters.remaining.counts) == 5
    assert counters.remaining.total == pytest.approx(5 * 55 * 60, abs=5)


async def test_nothing_is_answered_from_a_memory_that_was_dropped(rig: Rig) -> None:
    """An update that changes nothing for this pod drops what is remembered, and no count."""
    async with rig.client() as client:
        for number in range(5):
            client.send(DOCUMENT)
            await client.answer()
            if number == 2:  # The connection has an answer at hand by now.
                rig.tell(Heartbeat(START))

    assert +rig.server.counters.requests == {(Route.ROLE_DOCUMENT, 200, Outcome.SERVED): 5}


async def test_small_answers_leave_at_once(rig: Rig) -> None:
    """Nagle's algorithm would hold back what follows a first answer."""
    async with rig.client() as client:
        client.send(LIST)
        await client.answer()
        [connection] = rig.server.state.limits
        sock = connection._transport.get_extra_info("socket")  # noqa: SLF001 - no other way to the server's socket

        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_the_date_is_now(rig: Rig) -> None:
    """It follows the clock, second by second."""
    await rig.ask(LIST)
    rig.clock.advance(timedelta(days=27, seconds=1))
    [answer] = await rig.ask(request("/latest"))

    assert rig.clock.now() == START + timedelta(days=27, seconds=1)
    assert answer.headers["date"] == "Sun, 31 May 2026 12:00:01 GMT"


async def test_a_scrape_shows_every_declared_metric(rig: Rig, tmp_path: Path) -> None:
    """It is parsed as Prometheus parses it, and no label has a value that is not declared."""
    await rig.ask(DOCUMENT)
    await rig.ask(LIST, "127.0.0.99")
    registry = CollectorRegistry()
    stream = StreamStatistics(
        connected=True,
        server="a:1",
        last_message_at=START,
        end_reasons={EndReason.SILENT: 2},
        skipped=0,
        server_clock_ahead=None,
    )
    ca_bundle_file = CaBundleFile(Certificates(tmp_path).bundle, rig.clock.now)
    registry.register(
        AgentCollector(
            [rig.server],
            rig.item_fetcher.cache,
            rig.cache,
            lambda: stream,
            ca_bundle_file,
            rig.clock.now,
        )
    )
    families = {
        family.name: family
        for family in text_string_to_metric_families(generate_latest(registry).decode())
    }

    for metric in METRICS:
        allowed = {label.name: {*label.values} for label in metric.labels}
        for sample in families[metric.name.removesuffix("_total")].samples:
            labels = {name: value for name, value in sample.labels.items() if name != "le"}
            assert labels.keys() == allowed.keys()
            assert all(value in allowed[name] for name, value in labels.items()), sample
    served = {"endpoint": "metadata", "route": "role_document", "code": "200", "outcome": "served"}
    assert registry.get_sample_value("rolecall_agent_requests_total", served) == 1
    bucket = "rolecall_served_credential_remaining_seconds_bucket"
    assert registry.get_sample_value(bucket, {"le": "2700.0"}) == 0
    assert registry.get_sample_value(bucket, {"le": "3600.0"}) == 1
