"""Which pod a connection is, in every kind of pod and address (contract §5)."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from fakes.endpoint_rig import (
    BASE,
    ROLES,
    Answer,
    Rig,
    answers_in,
    endpoint_rig,
    known,
    pod,
    request,
)
from fakes.imds import REGION, fake_imds
from rolecall_agent.decision import Outcome, Route
from rolecall_proto.values import AssignmentUpserted, PodRemoved, PodUid, Reason, State

FOUR, SIX = "127.0.0.2", "::1"
LIST = request()
DOCUMENT = request(f"{ROLES}/reader")
INFO = request("/latest/meta-data/iam/info")
PUT = request("/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 60", method="PUT")
POD = replace(pod(FOUR), addresses=(ip_address(FOUR), ip_address(SIX)))


@pytest.fixture
async def rig() -> AsyncGenerator[Rig]:
    """Listen to IPv4 and IPv6 on one socket: IPv4 arrives there as ::ffff:a.b.c.d."""
    sock = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    async with (
        fake_imds() as imds,
        endpoint_rig(metadata=imds.port) as rig,
        rig.server.serving([sock]),
    ):
        rig.port = sock.getsockname()[1]
        await rig.warm()
        rig.snapshot()
        yield rig


async def ask(rig: Rig, asked: bytes, source: str = FOUR) -> Answer:
    to = "::1" if source == SIX else "127.0.0.1"
    reader, writer = await asyncio.open_connection(to, rig.port, local_addr=(source, 0))
    writer.write(asked)
    writer.write_eof()
    [answer] = answers_in(await reader.read())
    writer.close()
    return answer


async def statuses(rig: Rig, *sources: str) -> list[int]:
    return [(await ask(rig, LIST, source)).status for source in sources]


async def test_a_pod_of_both_families_is_one_pod(rig: Rig) -> None:
    """At either address, and at the IPv4 address as an IPv6 socket tells it."""
    rig.tell(*known(POD))
    answers = [await ask(rig, LIST, source) for source in (FOUR, SIX)]

    assert [answer.body for answer in answers] == [b"reader", b"reader"]


async def test_an_address_that_the_api_does_not_name_is_no_pod_s(rig: Rig) -> None:
    """Such as that by which a pod of IPv6 reaches what has IPv4 only: it waits, and is counted."""
    rig.tell(*known(replace(POD, addresses=(ip_address(SIX),))))

    assert await statuses(rig, FOUR, SIX) == [503, 200]
    assert +rig.server.counters.requests == {
        (Route.ROLE_LIST, 503, Outcome.TIMEOUT): 1,
        (Route.ROLE_LIST, 200, Outcome.SERVED): 1,
    }


async def test_a_token_is_of_one_address_alone(rig: Rig) -> None:
    """Also of a pod that has two: it is the address that is proved."""
    rig.tell(*known(POD))
    token = (await ask(rig, PUT, FOUR)).body.decode()
    shown = request(f"{ROLES}/reader", f"X-aws-ec2-metadata-token: {token}")
    seen = [(await ask(rig, shown, source)).status for source in (FOUR, SIX)]

    assert seen == [200, 401]


async def test_a_mapped_address_may_be_what_the_server_says(rig: Rig) -> None:
    """It is the same address, whoever writes it."""
    rig.tell(*known(replace(POD, addresses=(ip_address(f"::ffff:{FOUR}"),))))

    assert await statuses(rig, FOUR, SIX) == [200, 503]


async def test_a_mapped_address_may_be_the_host_that_is_asked(rig: Rig) -> None:
    """The endpoint's own address and port are allowed as they are spelt in IPv4."""
    rig.tell(*known(POD))
    asked = request(host=f"127.0.0.1:{rig.port}")
    strange = request(host=f"[::ffff:127.0.0.1]:{rig.port}")

    assert [(await ask(rig, each)).status for each in (asked, strange)] == [200, 400]


async def test_an_address_that_two_pods_claim_is_nobody_s(rig: Rig) -> None:
    """The other address of either is not touched by that; and one of them goes."""
    other = replace(pod(SIX, uid="other", role="writer", role_arn=f"{BASE}writer"))
    rig.tell(*known(POD), AssignmentUpserted(other))
    both = await statuses(rig, FOUR, SIX)
    rig.tell(PodRemoved(POD.uid))
    after = await ask(rig, LIST, SIX)

    assert both == [200, 503]
    assert after.body == b"writer"
    assert await statuses(rig, FOUR) == [503]


async def test_a_pod_of_the_host_s_network_gets_no_credentials_here(rig: Rig) -> None:
    """Its address is the node's: paths of credentials are 404, and what all may know is told."""
    rig.tell(*known(replace(POD, host_network=True)))
    refused = [await ask(rig, asked) for asked in (LIST, DOCUMENT, INFO)]
    told = [(await ask(rig, asked)).status for asked in (PUT, request(REGION), request("/latest/"))]

    assert [(answer.status, answer.body) for answer in refused] == [(404, b"")] * 3
    assert told == [200, 200, 200]


async def test_the_node_s_address_is_nobody_else_s(rig: Rig) -> None:
    """A pod that claims it beside one of the host's network gets nothing either."""
    rig.tell(*known(POD), AssignmentUpserted(pod(FOUR, uid="host", host_network=True)))

    assert await statuses(rig, FOUR, SIX) == [404, 200]


async def test_a_pod_is_served_until_it_is_gone(rig: Rig) -> None:
    """Terminating makes no difference: the server says when it ends, succeeds or fails."""
    rig.tell(*known(POD))
    before = await statuses(rig, FOUR)
    rig.tell(PodRemoved(PodUid(POD.uid)))

    assert before == [200]
    assert await statuses(rig, FOUR, SIX) == [503, 503]


@pytest.mark.parametrize(
    ("state", "reason", "status"),
    [
        (State.DENIED, Reason.NO_ROLE, 404),
        (State.DENIED, Reason.MIRROR_POD, 404),
        (State.DENIED, Reason.NAMESPACE_FORBIDS, 404),
        (State.FAILED, Reason.ACCESS_DENIED, 404),
        (State.PENDING, Reason.NAMESPACE_UNKNOWN, 503),
        (State.PENDING, Reason.STS_UNREACHABLE, 503),
    ],
)
async def test_what_is_no_grant_is_404_or_waits(
    rig: Rig, state: State, reason: Reason, status: int
) -> None:
    """A no is told at once, at both addresses; what may become a yes is held."""
    rig.tell(AssignmentUpserted(replace(POD, state=state, reason=reason, session_id=None)))

    assert await statuses(rig, FOUR, SIX) == [status, status]
