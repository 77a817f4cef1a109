"""What the container endpoint does not know yet, and what it knows no more."""

import json
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from fakes.authentication import signed
from fakes.container_rig import (
    ADDRESS,
    ContainerRig,
    asking,
    container_rig,
    endpoint_keys,
    impatient,
    loaded,
    moment,
    rules,
    said,
    token,
    waiting,
    web,
)
from fakes.endpoint_rig import LONG, START, known, pod, session
from rolecall_proto.values import (
    Assignment,
    AssignmentUpserted,
    EndpointKeys,
    Heartbeat,
    PodRemoved,
    PodUid,
    Reason,
    SessionRenewed,
    State,
)


@pytest.fixture
async def rig() -> AsyncGenerator[ContainerRig]:
    async with container_rig(LONG) as rig:
        await loaded(rig)
        yield rig


async def test_before_anything_is_known_a_request_waits() -> None:
    """For the snapshot, and it is answered by it."""
    async with container_rig(LONG) as rig:
        task = await waiting(rig, token())
        rig.snapshot(*known(web()))

        assert await task == 200


async def test_a_request_that_waits_in_vain_is_told_to_come_back() -> None:
    """503 is what every SDK asks again after."""
    async with container_rig() as rig:
        answer = await rig.ask(token())

    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert json.loads(answer.body)["code"] == "NotYet"


async def test_without_a_cluster_no_token_can_be_judged() -> None:
    """The server has no keys then, and says so by sending none."""
    async with container_rig() as rig:
        rig.snapshot(*known(web()), keys=EndpointKeys(bytes(32)))

        assert (await rig.ask(token())).status == 503


async def test_keys_that_come_late_answer_who_waits() -> None:
    """They come by themselves, after the snapshot."""
    async with container_rig(LONG) as rig:
        rig.snapshot(*known(web()), keys=EndpointKeys(bytes(32)))
        task = await waiting(rig, token())
        rig.tell(endpoint_keys())

        assert await task == 200


async def test_a_token_by_a_new_key_waits_for_the_key() -> None:
    """The API server signs with it before everybody has heard of it."""
    async with container_rig(LONG) as rig:
        await loaded(rig)
        renewed = signed(said(), "key-2").reveal()
        task = await waiting(rig, renewed)
        rig.tell(Heartbeat(START), endpoint_keys(rules("key-1", "key-2")))
        assert await task == 200
        rig.tell(endpoint_keys(rules("key-2")))

        assert (await rig.ask(renewed)).status == 200
        assert rig.endpoint.held_requests == 0


async def test_a_key_that_is_taken_back_takes_its_tokens_with_it() -> None:
    """Also those that were good a moment ago, and are remembered."""
    async with container_rig(LONG) as rig:
        await loaded(rig)
        rig.tell(endpoint_keys(rules("key-2")))

        assert (await impatient(rig).ask(token())).status == 503


async def test_a_pod_that_is_not_here_yet_waits_for_its_assignment() -> None:
    """The token is there before the watch has told of the pod."""
    async with container_rig(LONG) as rig:
        await loaded(rig)
        rig.snapshot()
        task = await waiting(rig, token())
        assert [str(each) for each in rig.asked[-1:]] == ["127.0.0.1"]
        rig.tell(SessionRenewed(session()), AssignmentUpserted(pod("10.0.0.2", uid="uid-b")))
        assert rig.endpoint.held_requests == 1
        rig.tell(AssignmentUpserted(web()))

        assert await task == 200


async def test_who_came_before_the_first_snapshot_is_asked_about_once_it_is_here() -> None:
    """It has not named the pod: the server may know it all the same, and says so when asked."""
    async with container_rig(LONG) as rig:
        task = await waiting(rig, token())
        rig.snapshot()
        asked = [str(address) for address in rig.asked]
        rig.tell(SessionRenewed(session()), AssignmentUpserted(web()))

        assert asked == ["127.0.0.1"]
        assert await task == 200


async def test_a_pod_without_an_address_is_answered() -> None:
    """Its token is all that it needs."""
    async with container_rig(LONG) as rig:
        await loaded(rig)
        rig.snapshot()
        task = await waiting(rig, token())
        unplaced = Assignment(
            PodUid("uid-a"), "shop", f"pod-{ADDRESS}", "default", (), State.PENDING,
            reason=Reason.CREDENTIALS_PENDING,
        )  # fmt: skip
        rig.tell(AssignmentUpserted(unplaced))
        assert rig.endpoint.held_requests == 1
        rig.tell(AssignmentUpserted(web(State.DENIED, Reason.NAMESPACE_FORBIDS)))

        assert await task == 404


async def test_pending_credentials_are_waited_for_and_asked_for() -> None:
    """By the pod's own address, so that the server hastens its identity."""
    async with container_rig(LONG) as rig:
        await loaded(rig)
        rig.tell(AssignmentUpserted(web(State.PENDING, Reason.CREDENTIALS_PENDING)))
        task = await waiting(rig, token())
        assert str(rig.asked[-1]) == ADDRESS
        rig.tell(SessionRenewed(session()), AssignmentUpserted(web()))

        assert await task == 200


async def test_a_renewal_answers_who_waits_for_it() -> None:
    """Credentials have ended, and STS was away: the next ones wake the pod."""
    async with container_rig(LONG) as rig:
        await loaded(rig)
        rig.clock.advance(timedelta(minutes=59, seconds=59))
        lasting = token(exp=moment(timedelta(hours=9)))
        assert (await rig.ask(lasting)).status == 200
        rig.clock.advance(timedelta(seconds=1))
        rig.tell(Heartbeat(rig.clock.now()))
        task = await waiting(rig, lasting)
        rig.tell(SessionRenewed(session(key="ASIA2", ends=timedelta(hours=2))))

        assert await task == 200
        assert rig.served[-1] == ("uid-a", "ASIA2 container")


async def test_a_pod_that_is_gone_is_served_no_more(rig: ContainerRig) -> None:
    """Its token is good for an hour, and is worth nothing without the pod."""
    assert (await rig.ask(token())).status == 200
    rig.tell(PodRemoved(PodUid("uid-a")))

    assert (await impatient(rig).ask(token())).status == 503


async def test_a_remembered_answer_ends_with_its_token(rig: ContainerRig) -> None:
    """The same bytes again are not looked at again, and get nothing after the end."""
    ends = token(exp=moment(timedelta(minutes=1)))
    async with rig.client() as client:
        for _ in range(3):
            client.send(asking(ends, host=f"127.0.0.1:{rig.port}"))
            assert (await client.answer()).status == 200
        rig.clock.advance(timedelta(minutes=1))
        rig.tell(Heartbeat(rig.clock.now()))
        client.send(asking(ends, host=f"127.0.0.1:{rig.port}"))

        assert (await client.answer()).status == 401
