"""Raw requests to the metadata endpoint, each with its right answer (contract §5), in one table."""

import contextlib
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
import uvloop

from fakes.endpoint_rig import BASE, ROLES, Answer, Rig, endpoint_rig, known, pod, request
from fakes.imds import FakeImds, fake_imds
from rolecall_agent.decision import COMMON_ITEMS
from rolecall_agent.metadata.tokens import LONGEST_LIFE
from rolecall_proto.values import Reason, State
from seams.agent.metadata.table.listing import LISTING, ROWS, TABLE, listing
from seams.agent.metadata.table.pods import (
    DENIED,
    DOCUMENT,
    FAILED,
    FOREIGN_ARN,
    HOST,
    INFO,
    NO_ROLE,
    OTHER,
    OWN,
    PENDING,
    PROOF,
    STRICT,
    TTL,
    TWICE,
    put,
)

# All that the real service may ever be asked, whatever pods send.
ALLOWED = {"PUT /latest/api/token", *(f"GET /latest/{item}" for item in COMMON_ITEMS)}


@contextlib.asynccontextmanager
async def table_rig() -> AsyncGenerator[tuple[Rig, FakeImds]]:
    async with fake_imds() as imds, endpoint_rig(metadata=imds.port) as rig:
        await rig.warm()
        rig.snapshot(
            *known(
                pod(OWN, role="team/reader", role_arn=f"{BASE}team/reader"),
                pod(OTHER, role=FOREIGN_ARN, role_arn=FOREIGN_ARN),
                pod(NO_ROLE, State.DENIED, Reason.NO_ROLE, role="", role_arn=""),
                pod(DENIED, State.DENIED, Reason.NAMESPACE_FORBIDS),
                pod(FAILED, State.FAILED, Reason.ACCESS_DENIED),
                pod(
                    PENDING,
                    State.PENDING,
                    Reason.CREDENTIALS_PENDING,
                    role_arn=f"{BASE}team/reader",
                ),
                pod(STRICT, role_arn=f"{BASE}team/reader", imdsv2_required=True),
                pod(HOST, State.DENIED, Reason.NO_ROLE, host_network=True),
                pod(TWICE),
                pod(TWICE, uid="another"),
            )
        )
        yield rig, imds


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncGenerator[Rig]:
    async with table_rig() as (rig, imds):
        yield rig
        assert set(imds.requests) <= ALLOWED


async def answers_to(rig: Rig, sent: bytes, source: str) -> list[Answer]:
    async with rig.client(source) as client:
        client.send(sent.replace(b"{port}", str(rig.port).encode()))
        return await client.rest(has_body=not sent.startswith(b"HEAD "))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("sent", "source", "statuses"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
async def test_every_request_gets_its_right_answer(
    rig: Rig, sent: bytes, source: str, statuses: tuple[int, ...]
) -> None:
    """A row: what a pod sends, half-closing after it, and all it gets until the endpoint closes."""
    answers = await answers_to(rig, sent, source)

    assert tuple(answer.status for answer in answers) == statuses
    for answer in answers:
        assert answer.headers["server"] == "EC2ws"
        if answer.status == 400 and b"/api/token" not in sent:
            assert answer.headers["connection"] == "close"
        if answer.status in (400, 401, 503):
            assert answer.body == b""


def test_the_table_holds_on_uvloop() -> None:
    """The agent's own loop answers every row as asyncio's does.

    Of all that is sent, the real service is asked for each item once, and for nothing else.
    """

    async def wrong_rows() -> tuple[list[tuple[str, list[int]]], list[str]]:
        wrong = []
        async with table_rig() as (rig, imds):
            for name, sent, source, statuses in TABLE:
                answers = await answers_to(rig, sent, source)
                if tuple(answer.status for answer in answers) != statuses:
                    wrong.append((name, [answer.status for answer in answers]))
        return wrong, imds.requests

    wrong, requests = uvloop.run(wrong_rows())

    assert wrong == []
    assert sorted(requests) == sorted(ALLOWED)


def test_the_listing_is_fresh() -> None:
    """After a change of a row: `PYTHONPATH=tests python -m seams.agent.metadata.table.listing`."""
    assert LISTING.read_text(encoding="utf-8") == listing()


def test_there_are_enough_rows() -> None:
    """And the generated ones are of one mind with those that were written by hand."""
    answers = {row[1:3]: row[3] for row in TABLE}

    assert len(TABLE) >= 1000
    assert [row[0] for row in ROWS if answers[row[1:3]] != row[3]] == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("spelling", "status"),
    [
        ("{}", 200),
        ("  {}  ", 200),
        ("{}\r\nX-aws-ec2-metadata-token: {}", 401),
        ("{}\r\nX-aws-ec2-metadata-token:", 401),
        ("{}=", 401),
        ("{}A", 401),
        ('"{}"', 401),
        ("{}, {}", 401),
        ("Bearer {}", 401),
    ],
)
async def test_a_token_is_shown_once_and_as_it_was_given(
    rig: Rig, spelling: str, status: int
) -> None:
    """Doubled, quoted, padded or longer, it is no token."""
    async with rig.client(STRICT) as client:
        client.send(put(f"{TTL}: 60"))
        token = (await client.answer()).body.decode()
        client.send(request(DOCUMENT, f"{PROOF}: {spelling.replace('{}', token)}"))

        assert (await client.answer()).status == status


@pytest.mark.asyncio(loop_scope="module")
async def test_a_token_of_another_address_is_none(rig: Rig) -> None:
    """Whoever reads it in passing cannot use it."""
    async with rig.client(OTHER) as other, rig.client(STRICT) as client:
        other.send(put(f"{TTL}: {LONGEST_LIFE.seconds}"))
        token = (await other.answer()).body.decode()
        client.send(request(DOCUMENT, f"{PROOF}: {token}"))

        assert (await client.answer()).status == 401


@pytest.mark.asyncio(loop_scope="module")
async def test_all_404_of_a_credential_path_are_byte_identical(rig: Rig) -> None:
    """A pod cannot tell a denial from a role that does not exist."""
    asked = [
        (request(f"{ROLES}/admin"), OWN),
        (request(f"{ROLES}/{FOREIGN_ARN}"), OWN),
        (request(f"{ROLES}//x"), OWN),
        (request(DOCUMENT), NO_ROLE),
        (request(DOCUMENT), DENIED),
        (request(DOCUMENT), FAILED),
        (request(DOCUMENT), HOST),
        (request(), NO_ROLE),
        (request(), DENIED),
        (request(INFO), NO_ROLE),
        (request(INFO), DENIED),
        (request(INFO), HOST),
    ]
    answers = [(await rig.ask(sent, source))[0].raw for sent, source in asked]

    assert len(set(answers)) == 1
    assert answers[0].endswith(b"Content-Length: 0\r\n\r\n")
