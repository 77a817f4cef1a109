"""Answers that begin before they are known: their first bytes keep an SDK waiting for the rest."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest

from fakes.container_rig import asking, container_rig, token, web
from fakes.endpoint_rig import (
    DOCUMENT,
    LIST,
    LONG,
    OWN,
    Answer,
    Rig,
    answers_in,
    endpoint_rig,
    known,
    pod,
    request,
)
from rolecall_agent.http.patience import BEGINNING, PATIENT_HOLD
from rolecall_agent.http.server_state import ServerRules
from rolecall_proto.values import AssignmentUpserted, Reason, State, Update

SHORT = timedelta(milliseconds=50)  # For how long those are held who are told nothing.
PATIENT = ServerRules(patient=True)
TTL = "X-aws-ec2-metadata-token-ttl-seconds: 60"
PUT = request("/latest/api/token", TTL, method="PUT")
RUST = "User-Agent: aws-sdk-rust/1.7.0 ua/2.1 api/imds/1.13.0 os/linux lang/rust/1.95.0"
HEAD = request(method="HEAD")
OLD = LIST.replace(b"HTTP/1.1", b"HTTP/1.0")


def patient_rig(hold: timedelta = SHORT) -> AbstractAsyncContextManager[Rig]:
    return endpoint_rig(hold, rules=PATIENT)


@pytest.fixture
async def rig() -> AsyncGenerator[Rig]:
    async with patient_rig() as rig:
        rig.snapshot()
        yield rig


GIVEN = known(pod(OWN))
DENIED: list[Update] = [AssignmentUpserted(pod(OWN, State.DENIED, Reason.NO_ROLE))]


@pytest.mark.parametrize("asked", [LIST, HEAD, OLD, DOCUMENT], ids=["list", "HEAD", "1.0", "doc"])
@pytest.mark.parametrize(
    ("update", "status"), [(GIVEN, 200), (DENIED, 404)], ids=["given", "denied"]
)
async def test_an_answer_goes_on_where_it_has_begun(
    rig: Rig, asked: bytes, update: list[Update], status: int
) -> None:
    """Whatever was asked and whatever comes of it: together they are the answer as ever."""
    async with rig.client() as client:
        client.send(asked)
        begun = await client.some(2)
        rig.tell(*update)
        rest = await client.rest_as_sent()
    [usual] = await rig.ask(asked) if asked is not HEAD else await head_of(rig)

    assert begun == b"HT"
    assert begun + rest == usual.raw
    assert usual.status == status


async def head_of(rig: Rig) -> list[Answer]:
    async with rig.client() as client:
        client.send(HEAD)
        return await client.rest(has_body=False)


async def test_who_waits_to_the_end_is_told_503(rig: Rig) -> None:
    """It begins with the same bytes as any other answer."""
    begun = asyncio.get_running_loop().time()
    async with rig.client() as client:
        client.send(LIST)
        answer = await client.answer()
    took = asyncio.get_running_loop().time() - begun

    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert took > PATIENT_HOLD - 0.05
    assert answer.raw.count(b"HTTP/") == 1


async def test_pipelined_requests_wait_behind_a_begun_answer(rig: Rig) -> None:
    """Nothing is written between an answer's beginning and its rest."""
    async with rig.client() as client:
        client.send(LIST)
        begun = await client.some(1)
        client.send(request("/latest/none") + b"GET nonsense\r\n\r\n")
        rig.tell(*GIVEN)
        rest = await client.rest_as_sent()

    assert [each.status for each in answers_in(begun + rest)] == [200, 404, 400]


async def test_a_half_closed_client_is_told_all_the_same(rig: Rig) -> None:
    """It has said all that it has to say, and it listens."""
    async with rig.client() as client:
        client.send(LIST)
        client.end()
        begun = await client.some(1)
        rig.tell(*GIVEN)
        [answer] = answers_in(begun + await client.rest_as_sent())

    assert answer.body == b"reader"


async def test_a_client_that_is_gone_is_found_out(rig: Rig) -> None:
    """What is begun for it is refused: nothing of it is kept."""
    sock = socket.create_connection(("127.0.0.1", rig.port), source_address=(OWN, 0))
    sock.sendall(LIST)
    await rig.until(lambda: rig.endpoint.held_requests == 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()
    await rig.until(lambda: rig.server.open_connections == 0)

    assert rig.endpoint.held_requests == 0


async def test_a_connection_is_cut_in_the_middle_of_an_answer(rig: Rig) -> None:
    """Where its pod's address has moved nothing follows what was sent, whoever has it now."""
    async with rig.client() as client:
        client.send(LIST)
        await client.some(1)
        rig.server.cut([rig.asked[0]])
        rig.tell(*GIVEN)

        assert await client.rest_as_sent() == b""
    assert rig.server.counters.requests.total() == 0


async def test_the_kernel_is_asked_before_an_answer_goes_on(rig: Rig) -> None:
    """News that nobody has read yet cut the connection, and the next pod's update says nothing."""
    async with rig.client() as client:
        client.send(LIST)
        await client.some(1)
        rig.server.watches(lambda: rig.server.cut(rig.asked), lambda: False)
        rig.tell(*GIVEN)

        assert await client.rest_as_sent() == b""
    assert rig.served == []


async def test_the_end_completes_what_has_begun() -> None:
    """An agent that stops says 503 at once, from where it was."""
    async with patient_rig() as rig:
        rig.snapshot()
        context = rig.client()
        client = await context.__aenter__()
        client.send(LIST)
        begun = await client.some(1)
    [answer] = answers_in(begun + await client.rest_as_sent())
    await context.__aexit__(None, None, None)

    assert answer.status == 503


async def test_an_unknown_pod_waits_for_its_token_in_silence(rig: Rig) -> None:
    """A token needs no pod. But what passes before it is not taken from the time of the role."""
    begun = asyncio.get_running_loop().time()
    [answer] = await rig.ask(PUT)
    took = asyncio.get_running_loop().time() - begun

    assert answer.status == 200
    assert len(answer.body) == 56
    assert took > SHORT.total_seconds() * 0.9
    assert [str(each) for each in rig.asked] == [OWN]


async def test_a_known_pod_has_its_token_at_once() -> None:
    """Whether it has a role or not: this is for those who are not known yet."""
    async with patient_rig(LONG) as rig:
        rig.snapshot(*DENIED)

        assert [each.status for each in await rig.ask(PUT)] == [200]


async def test_a_pod_that_becomes_known_has_its_token_then() -> None:
    """The event wakes it, as it wakes all."""
    async with patient_rig(LONG) as rig, rig.client() as client:
        rig.snapshot()
        client.send(PUT)
        await rig.parked.wait()
        rig.tell(*GIVEN)

        assert (await client.answer()).status == 200


async def test_the_sdk_for_rust_has_its_503_before_it_gives_up(rig: Rig) -> None:
    """It asks again after a 503, and does not after its time is over, whatever came meanwhile."""
    begun = asyncio.get_running_loop().time()
    [answer] = await rig.ask(request("/latest/meta-data/iam/security-credentials/", RUST))

    assert answer.status == 503
    assert asyncio.get_running_loop().time() - begun < PATIENT_HOLD


async def test_patience_can_be_switched_off() -> None:
    """Then everybody has the 503 at the end of the silent hold."""
    async with endpoint_rig(SHORT) as rig:
        rig.snapshot()
        begun = asyncio.get_running_loop().time()
        [answer] = await rig.ask(LIST)

        assert answer.status == 503
        assert asyncio.get_running_loop().time() - begun < PATIENT_HOLD


async def test_the_container_endpoint_is_patient_too() -> None:
    """With everybody: here Rust's SDK waits in silence for longer than that, and asks again."""
    async with container_rig(patient=True) as rig, rig.client() as client:
        rig.snapshot()
        client.send(asking(token(), host=f"{rig.host}:{rig.port}"))
        begun = await client.some(1)
        rig.tell(*known(web()))
        [answer] = answers_in(begun + await client.rest_as_sent())

    assert answer.status == 200


async def test_who_waits_on_asks_the_server_again(rig: Rig) -> None:
    """What it did not know at first it may know by the next byte."""
    async with rig.client() as client:
        client.send(LIST)
        await client.some(1)

    assert len(rig.asked) == 2


@pytest.mark.parametrize("asked", [LIST, DOCUMENT, PUT, request("/none"), b"GET x\r\n\r\n"])
async def test_every_answer_begins_alike(asked: bytes) -> None:
    """Else what was sent of it before would be another's."""
    async with endpoint_rig() as rig:
        rig.snapshot(*GIVEN)
        [answer] = await rig.ask(asked)

    assert answer.raw.startswith(BEGINNING)
