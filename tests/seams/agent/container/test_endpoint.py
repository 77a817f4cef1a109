"""The container endpoint over real sockets: who is served, and what others are told."""

import json
from collections.abc import AsyncGenerator

import pytest

from fakes.container_rig import (
    ContainerRig,
    asking,
    container_rig,
    loaded,
    token,
    web,
)
from fakes.endpoint_rig import BASE, LONG, known
from rolecall_proto.values import (
    Reason,
    State,
)


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


async def test_the_address_alone_is_a_right_host(rig: ContainerRig) -> None:
    """The C runtime names no port, whichever it asks."""
    async with rig.client() as client:
        client.send(asking(token(), host=rig.host))
        [answer] = await client.rest()

    assert answer.status == 200


async def test_an_ipv6_address_without_brackets_is_a_right_host() -> None:
    """As the C runtime sends it."""
    async with container_rig(LONG, host="::1") as rig, rig.client() as client:
        rig.snapshot(*known(web()))
        client.send(asking(token(), host="::1"))
        [answer] = await client.rest()

    assert answer.status == 200


async def test_over_ipv6() -> None:
    """Clusters without IPv4 have this endpoint."""
    async with container_rig(LONG, host="::1") as rig:
        rig.snapshot(*known(web()))

        assert (await rig.ask(token())).status == 200
