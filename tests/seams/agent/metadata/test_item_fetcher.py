"""What is passed on of the node's own metadata: single items, from a service that records all."""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from fakes.endpoint_rig import ROLES, Client, Rig, endpoint_rig, known, pod, request
from fakes.imds import REGION, TOKEN, VALUES, FakeImds, fake_imds
from rolecall_agent.decision import COMMON_ITEMS, Item, Outcome, Route
from rolecall_agent.metadata.item_cache import Result
from rolecall_proto.values import Assignment, Reason, State

OWN = "127.0.0.2"
ASK = request(REGION)
PUT = "PUT /latest/api/token"
GET = f"GET {REGION}"
DOCUMENT = "/latest/dynamic/instance-identity/document"
LONG = timedelta(seconds=60)


@pytest.fixture
async def imds() -> AsyncGenerator[FakeImds]:
    async with fake_imds() as imds:
        yield imds


@pytest.fixture
async def rig(imds: FakeImds) -> AsyncGenerator[Rig]:
    async with endpoint_rig(hold=LONG, metadata=imds.port) as rig:
        rig.snapshot(*known(pod(OWN)))
        yield rig


async def statuses(rig: Rig, *paths: str, source: str = OWN) -> list[int]:
    return [(await rig.ask(request(path), source))[0].status for path in paths]


@pytest.mark.parametrize("item", COMMON_ITEMS)
async def test_each_item_is_told_as_it_is(rig: Rig, item: Item) -> None:
    """In every version, with a final slash and without: SDKs write both."""
    asked = (f"/latest/{item}", f"/latest/{item}/", f"/2021-03-23/{item}", f"//1.0/{item}")
    answers = [(await rig.ask(request(path)))[0] for path in asked]

    assert [each.body.decode() for each in answers] == [VALUES[f"/latest/{item}"]] * 4
    assert {each.headers["content-type"] for each in answers} == {"text/plain"}


async def test_the_agent_asks_with_its_own_token_and_nothing_of_the_pod_s(
    rig: Rig, imds: FakeImds
) -> None:
    """No path, header, query or address of a pod goes there; the token is got once."""
    secret = "X-Secret: of-the-pod"  # noqa: S105 - no secret, but it must not be passed on
    await rig.ask(request(f"/2021-03-23{REGION[7:]}/?of=pod", secret, "X-Forwarded-For: 1.2.3.4"))
    await rig.ask(request("/latest/meta-data/instance-id"))
    host = f"Host: 127.0.0.1:{imds.port}"
    life = "X-aws-ec2-metadata-token-ttl-seconds: 21600"
    shown = f"X-aws-ec2-metadata-token: {TOKEN}"
    close = "Connection: close\r\n\r\n"

    assert imds.heads == [
        f"{PUT} HTTP/1.1\r\n{host}\r\n{life}\r\nContent-Length: 0\r\n{close}",
        f"{GET} HTTP/1.1\r\n{host}\r\n{shown}\r\n{close}",
        f"GET /latest/meta-data/instance-id HTTP/1.1\r\n{host}\r\n{shown}\r\n{close}",
    ]


async def test_however_many_pods_ask_it_is_one_request() -> None:
    """They wait for the same answer, and those who come later for none."""
    async with fake_imds(is_open=False) as imds, endpoint_rig(LONG, metadata=imds.port) as rig:
        rig.snapshot()
        addresses = [f"127.0.1.{number}" for number in range(1, 51)]
        asking = [asyncio.ensure_future(rig.ask(ASK, address)) for address in addresses]
        await rig.until(lambda: rig.endpoint.held_requests == len(addresses))
        imds.gate.set()
        answers = [await each for each in asking]
        await rig.ask(ASK)

    assert {each.body for [each] in answers} == {b"eu-central-1"}
    assert imds.requests == [PUT, GET]
    assert rig.asked == []  # A pod that is not known yet is told as well, and nobody looks it up.


async def test_a_no_of_the_real_service_is_404_and_is_kept(rig: Rig, imds: FakeImds) -> None:
    """For a minute nobody asks again."""
    imds.status[REGION] = 403
    seen = await statuses(rig, REGION, REGION)
    imds.status.clear()
    rig.clock.advance(timedelta(minutes=1))
    later = await statuses(rig, REGION)

    assert (seen, later) == ([404, 404], [200])
    assert imds.requests == [PUT, GET, GET]


async def test_a_no_takes_no_value_away(rig: Rig, imds: FakeImds) -> None:
    """Pods are told what was so before; a minute later it is asked for again."""
    results = rig.endpoint.stores.items.results
    seen = await statuses(rig, REGION)
    imds.status[REGION] = 404
    rig.clock.advance(timedelta(minutes=5))
    seen += await statuses(rig, REGION)
    await rig.until(lambda: results[Result.REFUSED] == 1)
    seen += await statuses(rig, REGION)
    imds.status.clear()
    rig.clock.advance(timedelta(minutes=1))
    seen += await statuses(rig, REGION)
    await rig.until(lambda: results[Result.OK] == 2)

    assert seen == [200, 200, 200, 200]
    assert imds.requests == [PUT, GET, GET, GET]


@pytest.mark.parametrize("status", [500, 503, 302, 204, 401, 408, 429])
async def test_what_is_no_answer_is_503(rig: Rig, imds: FakeImds, status: int) -> None:
    """At once, with the wish to be asked again; a redirect is followed by nobody."""
    imds.status[REGION] = status
    [first] = await rig.ask(ASK)
    [second] = await rig.ask(ASK)
    imds.status.clear()
    rig.clock.advance(timedelta(seconds=1))
    [third] = await rig.ask(ASK)

    assert [first.status, second.status, third.status] == [503, 503, 200]
    assert first.headers["retry-after"] == "1"
    assert imds.requests == [PUT, GET, *([PUT, GET] if status == 401 else []), GET]
    counters = rig.server.counters.requests
    assert counters[Route.ITEM, 503, Outcome.UNAVAILABLE] == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\neu",
        b"HTTP/1.1 200 OK\r\n\r\nno length",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\x00b",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xc3\xa9",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_an_answer_that_cannot_be_used_is_none(rig: Rig, imds: FakeImds, raw: bytes) -> None:
    """Broken, cut off, too long or unprintable: 503, and no byte of it reaches a pod."""
    imds.raw[REGION] = raw

    assert await statuses(rig, REGION) == [503]


async def test_an_answer_in_chunks_is_one(rig: Rig, imds: FakeImds) -> None:
    """Other makes of the service write so."""
    imds.raw[REGION] = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\neu-\r\n2\r\nxy\r\n0\r\n\r\n"
    )
    [answer] = await rig.ask(ASK)

    assert answer.body == b"eu-xy"


async def test_silence_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits is told as soon as the agent's patience ends."""
    monkeypatch.setattr("rolecall_agent.metadata.imds_client.TIMEOUT", 0.01)
    async with fake_imds(is_open=False) as imds, endpoint_rig(LONG, metadata=imds.port) as rig:
        rig.snapshot(*known(pod(OWN)))

        assert await statuses(rig, REGION) == [503]


async def test_nobody_waits_longer_than_for_credentials() -> None:
    """The hold ends before the agent's patience does; what comes late is kept."""
    async with fake_imds(is_open=False) as imds, endpoint_rig(metadata=imds.port) as rig:
        rig.snapshot(*known(pod(OWN)))
        seen = await statuses(rig, REGION)
        imds.gate.set()
        await rig.until(lambda: rig.endpoint.stores.items.results[Result.OK] == 1)

        assert seen + await statuses(rig, REGION) == [503, 200]


async def test_a_service_that_is_not_there_is_503(caplog: pytest.LogCaptureFixture) -> None:
    """It is said once in the log, and counted each time."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with endpoint_rig(LONG, metadata=port) as rig:
        rig.snapshot(*known(pod(OWN)))
        with caplog.at_level(logging.WARNING):
            seen = await statuses(rig, REGION, "/latest/meta-data/instance-id")

        assert seen == [503, 503]
        assert [record.why for record in caplog.records] == ["ConnectionRefusedError"]  # type: ignore[attr-defined]  # a field
        assert rig.endpoint.stores.items.results[Result.UNAVAILABLE] == 2


async def test_a_token_that_has_ended_early_is_got_anew(rig: Rig, imds: FakeImds) -> None:
    """Once: a service that does not know the new one either has said nothing of the item."""
    await statuses(rig, REGION)
    imds.tokens = {"another"}
    seen = await statuses(rig, "/latest/meta-data/instance-id")
    imds.tokens = set("another") | {"zz"}
    imds.raw["/latest/meta-data/instance-type"] = b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n"
    seen += await statuses(rig, "/latest/meta-data/instance-type")

    assert seen == [200, 503]
    assert imds.requests[2:] == [
        "GET /latest/meta-data/instance-id",
        PUT,
        "GET /latest/meta-data/instance-id",
        "GET /latest/meta-data/instance-type",
        PUT,
        "GET /latest/meta-data/instance-type",
    ]


async def test_a_token_is_renewed_before_its_end(rig: Rig, imds: FakeImds) -> None:
    """Six hours less five minutes; the value at hand is told meanwhile."""
    await statuses(rig, REGION)
    rig.clock.advance(timedelta(hours=5, minutes=55))
    seen = await statuses(rig, REGION)
    await rig.until(lambda: len(imds.requests) == 4)

    assert seen == [200]
    assert imds.requests == [PUT, GET, PUT, GET]


@pytest.mark.parametrize(("status", "answer"), [(403, 404), (500, 503)])
async def test_a_refused_token_is_as_a_refused_item(
    rig: Rig, imds: FakeImds, status: int, answer: int
) -> None:
    """A service that is switched off says no to the PUT."""
    imds.raw["/latest/api/token"] = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()

    assert await statuses(rig, REGION) == [answer]
    assert imds.requests == [PUT]


async def test_the_identity_document_is_told_where_it_is_allowed(imds: FakeImds) -> None:
    """By its name in the setting; its signatures are nowhere."""
    folder = DOCUMENT.removesuffix("/document")
    async with endpoint_rig(
        LONG, metadata=imds.port, items=(*COMMON_ITEMS, Item.IDENTITY_DOCUMENT)
    ) as rig:
        rig.snapshot(*known(pod(OWN)))
        [told] = await rig.ask(request(DOCUMENT))
        [listed] = await rig.ask(request(f"{folder}/"))
        seen = await statuses(rig, f"{folder}/pkcs7", f"{folder}/signature", f"{folder}/rsa2048")

    assert told.body.decode() == VALUES[DOCUMENT]
    assert listed.body == b"document"
    assert seen == [404, 404, 404]
    assert imds.requests == [PUT, f"GET {DOCUMENT}"]


async def test_what_is_not_offered_is_404(imds: FakeImds) -> None:
    """An operator may pass on less, or nothing."""
    async with endpoint_rig(LONG, metadata=imds.port, items=(Item.REGION,)) as rig:
        rig.snapshot(*known(pod(OWN)))
        some = await statuses(rig, REGION, "/latest/meta-data/instance-id", DOCUMENT)
    async with endpoint_rig(LONG) as rig:
        rig.snapshot(*known(pod(OWN)))
        none = await statuses(rig, REGION, "/latest/meta-data/placement/", DOCUMENT)

    assert (some, none) == ([200, 404, 404], [404, 404, 404])
    assert imds.requests == [PUT, GET]


async def test_a_pod_that_must_show_a_token_shows_it_here(rig: Rig, imds: FakeImds) -> None:
    """Without one nothing is told, and nothing is asked for."""
    rig.snapshot(*known(pod(OWN, imdsv2_required=True)))
    seen = await statuses(rig, REGION, "/", f"{ROLES[:-21]}/info")

    assert seen == [401, 401, 401]
    assert imds.requests == []


async def test_a_client_that_leaves_takes_nothing_with_it() -> None:
    """The question goes on: the next pod has its answer."""
    async with fake_imds(is_open=False) as imds, endpoint_rig(LONG, metadata=imds.port) as rig:
        rig.snapshot(*known(pod(OWN)))
        leaving = rig.client()
        client: Client = await leaving.__aenter__()
        client.send(ASK)
        await imds.asked.wait()
        await leaving.__aexit__(None, None, None)
        imds.gate.set()

        assert await statuses(rig, REGION) == [200]
    assert imds.requests == [PUT, GET]


async def test_info_has_the_role_in_the_place_of_a_profile(rig: Rig) -> None:
    """Tools read account and partition of the ARN, and turn it into their base."""
    [answer] = await rig.ask(request("/latest/meta-data/iam/info"))
    [again] = await rig.ask(request("/2021-03-23/meta-data/iam/info/"))

    assert answer.body.decode() == (
        "{\n"
        '  "Code": "Success",\n'
        '  "LastUpdated": "2026-05-04T12:00:00Z",\n'
        '  "InstanceProfileArn": "arn:aws:iam::111122223333:instance-profile/reader",\n'
        '  "InstanceProfileId": "AIPA5I26U3NTNX33A2MLK"\n'
        "}"
    )
    assert answer.headers["cache-control"] == "no-store"
    assert again.body == answer.body


@pytest.mark.parametrize(
    ("assignment", "status"),
    [
        (pod(OWN, State.DENIED, Reason.NO_ROLE), 404),
        (pod(OWN, State.DENIED, Reason.NAMESPACE_FORBIDS), 404),
        (pod(OWN, State.FAILED, Reason.ACCESS_DENIED), 404),
        (pod(OWN, State.PENDING, Reason.CREDENTIALS_PENDING), 503),
        (pod(OWN, State.DENIED, Reason.NO_ROLE, host_network=True), 404),
    ],
    ids=["no role", "denied", "refused by STS", "on their way", "host network"],
)
async def test_info_is_refused_as_credentials_are(assignment: Assignment, status: int) -> None:
    """It waits where they wait, and its refusals have no body."""
    async with endpoint_rig() as rig:
        rig.snapshot(*known(assignment))
        [answer] = await rig.ask(request("/latest/meta-data/iam/info"))

    assert (answer.status, answer.body) == (status, b"")
