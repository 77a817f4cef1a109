"""The metadata endpoint over real sockets: what is served, for how long, and to whom."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from fakes.endpoint_rig import (
    DOCUMENT,
    KEYS,
    LIST,
    OWN,
    ROLES,
    START,
    Rig,
    endpoint_rig,
    known,
    pod,
    request,
    session,
)
from rolecall_proto.values import (
    AssignmentUpserted,
    EndpointKeys,
    PodRemoved,
    PodUid,
    Reason,
    SessionRenewed,
    State,
)

TTL = "X-aws-ec2-metadata-token-ttl-seconds: 60"
PUT = request("/latest/api/token", TTL, method="PUT")


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


async def test_the_date_is_now(rig: Rig) -> None:
    """It follows the clock, second by second."""
    await rig.ask(LIST)
    rig.clock.advance(timedelta(days=27, seconds=1))
    [answer] = await rig.ask(request("/latest"))

    assert rig.clock.now() == START + timedelta(days=27, seconds=1)
    assert answer.headers["date"] == "Sun, 31 May 2026 12:00:01 GMT"
