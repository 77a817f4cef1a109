"""Requests that the metadata endpoint holds: until what they wait for comes, or the hold ends."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from fakes.endpoint_rig import (
    LIST,
    LONG,
    OWN,
    ROLES,
    Rig,
    endpoint_rig,
    known,
    pod,
    request,
)
from rolecall_agent.decision import Missing, Outcome, Route
from rolecall_agent.http.server_state import HOLD
from rolecall_proto.values import (
    AssignmentUpserted,
    Reason,
    State,
)

TTL = "X-aws-ec2-metadata-token-ttl-seconds: 60"
PUT = request("/latest/api/token", TTL, method="PUT")


@pytest.fixture
async def rig() -> AsyncGenerator[Rig]:
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN)))
        yield rig


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


async def test_when_the_list_says_a_role_its_document_is_at_hand() -> None:
    """An init container may wait for the list: it comes with the session, and not before."""
    async with endpoint_rig(hold=LONG) as rig, rig.client() as client:
        rig.snapshot(AssignmentUpserted(pod(OWN)))  # Granted, and its session is on its way.
        client.send(LIST)
        await rig.until(lambda: rig.endpoint.held_requests == 1)
        rig.tell(*known())
        listed = await client.answer()
        client.send(request(f"{ROLES}/{listed.body.decode()}"))
        document = await client.answer()

        assert (listed.status, document.status) == (200, 200)
        outcomes = +rig.server.counters.requests
        assert outcomes[Route.ROLE_DOCUMENT, 200, Outcome.SERVED] == 1  # It did not wait.


async def test_who_looks_for_its_vpc_is_refused_at_once() -> None:
    """A controller that finds none says so itself; here even a pod that is not known yet."""
    mac = "/latest/meta-data/mac"
    vpc = "/latest/meta-data/network/interfaces/macs/0e:49:61:0f:c3:11/vpc-id"
    async with endpoint_rig(hold=LONG) as rig:
        rig.snapshot()
        answers = [*await rig.ask(request(mac)), *await rig.ask(request(vpc))]

        assert [each.status for each in answers] == [404, 404]
        assert rig.asked == []


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
    """A known pod's token, too: its key is not here yet. Nobody can be asked, and so nobody is."""
    async with endpoint_rig(hold=LONG) as rig, rig.client() as one, rig.client("127.0.0.3") as two:
        one.send(PUT)
        two.send(request("/latest/user-data"))
        await rig.until(lambda: rig.endpoint.held_requests == 2)
        rig.snapshot(*known(pod(OWN)))
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
    """SDKs give up after one in silence."""
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
