"""The container endpoint over real sockets: who is served by a token, and what others are told."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta

import pytest

from fakes.container_rig import (
    ContainerRig,
    asking,
    container_rig,
    endpoint_keys,
    rules,
    said,
    token,
)
from fakes.endpoint_rig import BASE, START, known, pod, session
from fakes.vouching import signed
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

LONG = timedelta(seconds=60)  # A hold that a test ends by an event, or loses.
ADDRESS = "10.0.0.1"
KUBERNETES = "kubernetes.io"


def web(state: State = State.GRANTED, reason: Reason | None = None, **other: bool) -> Assignment:
    return pod(ADDRESS, state, reason, uid="uid-a", **other)


@pytest.fixture
async def rig() -> AsyncGenerator[ContainerRig]:
    async with container_rig(LONG) as rig:
        await loaded(rig)
        yield rig


async def test_a_pod_is_given_its_roles_credentials(rig: ContainerRig) -> None:
    """As SDKs read them: whole seconds, the reported end, the account of the role."""
    answer = await rig.ask(token())

    assert answer.status == 200
    assert json.loads(answer.body) == {
        "AccessKeyId": "ASIA1",
        "SecretAccessKey": "secret-of-s1",
        "Token": "token-of-s1",
        "Expiration": "2026-05-04T12:55:00Z",
        "AccountId": "111122223333",
        "RoleArn": BASE + "reader",
    }
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert rig.served == [("uid-a", "ASIA1 container")]


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
async def test_a_scheme_before_the_token_is_taken(rig: ContainerRig, scheme: str) -> None:
    """SDKs send what the file holds; people who try it by hand write a scheme."""
    assert (await rig.ask(scheme + token())).status == 200


async def test_head_tells_the_length_and_sends_no_body(rig: ContainerRig) -> None:
    """As everywhere in HTTP."""
    whole = await rig.ask(token())
    answer = await rig.ask(token(), method="HEAD")

    assert answer.headers["content-length"] == str(len(whole.body))
    assert answer.body == b""


async def test_pods_of_the_nodes_own_network_are_served(rig: ContainerRig) -> None:
    """Their address proves nothing, and their token proves them."""
    rig.snapshot(*known(web(host_network=True)))

    assert (await rig.ask(token())).status == 200


def part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def unsigned() -> str:
    return f"{part({'alg': 'none', 'kid': 'key-1'})}.{part(said())}."


def by_hmac() -> str:
    """Return a token "signed" with the public key, as if it were a secret that both know."""
    shown = f"{part({'alg': 'HS256', 'kid': 'key-1'})}.{part(said())}"
    proof = hmac.digest(rules().keys[0].encode(), shown.encode(), "sha256")
    return f"{shown}.{base64.urlsafe_b64encode(proof).decode().rstrip('=')}"


def with_payload(**other: object) -> str:
    """Return a good token whose payload was changed after it was signed."""
    header, _, signature = token().split(".")
    return f"{header}.{part(said(**other))}.{signature}"


def bound(**other: object) -> dict[str, object]:
    return {**said()[KUBERNETES], **other}


def moment(after: timedelta) -> int:
    return int((START + after).timestamp())


BAD = {
    "none": lambda: None,
    "empty": lambda: "",
    "a scheme and nothing": lambda: "Bearer",
    "another scheme": lambda: f"Basic {token()}",
    "garbage": lambda: "garbage",
    "dots": lambda: "..",
    "garbage in three parts": lambda: "a.b.c",
    "too deep": lambda: f"{base64.urlsafe_b64encode(b'[' * 3000).decode()}.e30.AA",
    "not ASCII": lambda: "\xff\xfe.\xff.\xff",
    "no algorithm": unsigned,
    "no signature": lambda: token().rpartition(".")[0] + ".",
    "HMAC by the public key": by_hmac,
    "another pod's uid": lambda: with_payload(**{KUBERNETES: bound(pod={"uid": "uid-b"})}),
    "a cut signature": lambda: token()[:-8],
    "signed by a stranger": lambda: signed(said(), "key-2", kid="key-1").reveal(),
    "another issuer": lambda: token(iss="https://elsewhere"),
    "no issuer": lambda: token(iss=None),
    "another audience": lambda: token(aud=["https://kubernetes.default.svc"]),
    "no audience": lambda: token(aud=None),
    "the agents' audience": lambda: token(aud=["rolecall"]),
    "ended now": lambda: token(exp=moment(timedelta())),
    "ended long ago": lambda: token(exp=1),
    "without an end": lambda: token(exp=None),
    "without a beginning": lambda: token(nbf=None),
    "not issued": lambda: token(iat=None),
    "for tomorrow": lambda: token(nbf=moment(timedelta(hours=24))),
    "issued tomorrow": lambda: token(iat=moment(timedelta(hours=24))),
    "of no pod": lambda: token(**{KUBERNETES: bound(pod=None)}),
    "of an account of old": lambda: token(**{KUBERNETES: None}),
    "of a pod without a uid": lambda: token(**{KUBERNETES: bound(pod={"name": "pod"})}),
    "of another node": lambda: token(**{KUBERNETES: bound(node={"name": "node-2"})}),
    "of another name": lambda: token(name="another"),
    "of another namespace": lambda: token(**{KUBERNETES: bound(namespace="team")}),
    "of another account": lambda: token(**{KUBERNETES: bound(serviceaccount={"name": "x"})}),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
async def test_a_bad_token_is_refused_at_once(
    rig: ContainerRig, make: Callable[[], str | None]
) -> None:
    """By the same bytes, whatever is wrong with it."""
    answer = await rig.ask(make())

    assert answer.status == 401
    assert json.loads(answer.body) == {
        "code": "InvalidToken",
        "message": "the token is none of a pod of this node",
    }
    assert len(rig.served) == 1
    assert (await rig.ask(make())).status == 401


async def test_two_tokens_are_none(rig: ContainerRig) -> None:
    """Nobody could say which of them is meant, also where both are good."""
    async with rig.client() as client:
        good = asking(token(), host=f"127.0.0.1:{rig.port}")
        client.send(good.replace(b"\r\n\r\n", f"\r\nAuthorization: {token()}\r\n\r\n".encode()))
        [answer] = await client.rest()

    assert answer.status == 401


async def test_a_clock_that_is_a_little_behind_costs_nobody_a_token(rig: ContainerRig) -> None:
    """Its beginning is stretched by half a minute, its end is not."""
    late = timedelta(seconds=29)

    assert (await rig.ask(token(nbf=moment(late), iat=moment(late)))).status == 200


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State.DENIED, Reason.NO_ROLE),
        (State.DENIED, Reason.NAMESPACE_FORBIDS),
        (State.DENIED, Reason.MIRROR_POD),
        (State.FAILED, Reason.ACCESS_DENIED),
    ],
)
async def test_a_denial_is_told_at_once_and_without_its_reason(
    rig: ContainerRig, state: State, reason: Reason
) -> None:
    """The metadata endpoint says 404 as well: some SDKs ask there next."""
    rig.snapshot(*known(web(state, reason)))
    answer = await rig.ask(token())

    assert answer.status == 404
    assert json.loads(answer.body) == {
        "code": "NoCredentials",
        "message": "there are no credentials for this pod",
    }


@pytest.mark.parametrize(
    ("path", "method", "status", "code"),
    [
        ("/", "GET", 404, "NotFound"),
        ("/v1/credentials/", "GET", 404, "NotFound"),
        ("/v1/Credentials", "GET", 404, "NotFound"),
        ("//v1/credentials", "GET", 404, "NotFound"),
        ("/latest/meta-data/iam/security-credentials/", "GET", 404, "NotFound"),
        ("/latest/api/token", "PUT", 404, "NotFound"),
        ("/v1/credentials", "POST", 405, "MethodNotAllowed"),
        ("/v1/credentials", "PUT", 405, "MethodNotAllowed"),
        ("/v1/credentials", "DELETE", 405, "MethodNotAllowed"),
        ("/v1/%63redentials", "GET", 404, "NotFound"),
        ("/v1/credentials?role=x", "GET", 200, None),
    ],
)
async def test_there_is_one_path_and_one_way_to_ask(
    rig: ContainerRig, path: str, method: str, status: int, code: str | None
) -> None:
    """Nothing of the metadata endpoint is behind this one."""
    answer = await rig.ask(token(), path, method)

    assert answer.status == status
    assert json.loads(answer.body).get("code") == code


@pytest.mark.parametrize("host", ["rebound.example", "localhost", "169.254.169.254", "10.0.0.1"])
async def test_a_name_that_a_page_could_rebind_is_refused(rig: ContainerRig, host: str) -> None:
    """And so is whatever else is not this endpoint's own address."""
    async with rig.client() as client:
        client.send(asking(token(), host=f"{host}:{rig.port}"))
        [answer] = await client.until_closed()

    assert answer.status == 400
    assert json.loads(answer.body)["code"] == "BadRequest"


async def test_over_ipv6() -> None:
    """Clusters without IPv4 have this endpoint."""
    async with container_rig(LONG, host="::1") as rig:
        rig.snapshot(*known(web()))

        assert (await rig.ask(token())).status == 200


# --- what is not here yet ---


async def waiting(rig: ContainerRig, authorization: str) -> "asyncio.Task[int]":
    """Ask, and return once the request is held."""

    async def status() -> int:
        return (await rig.ask(authorization)).status

    task = asyncio.create_task(status(), name="a pod that waits")
    await rig.until_held()
    return task


async def loaded(rig: ContainerRig) -> None:
    """Have the library loaded, for which the first token waits."""
    rig.snapshot(*known(web()))
    assert (await rig.ask(token())).status == 200


def impatient(rig: ContainerRig) -> ContainerRig:
    """Hold for 50 ms from now on, so that a 503 is quick."""
    rig.server.state.hold = 0.05
    return rig


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
