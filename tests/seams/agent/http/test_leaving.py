"""An agent that leaves has its clients come back elsewhere: each answer ends its connection."""

import pytest

from fakes.container_rig import asking, container_rig, token, web
from fakes.endpoint_rig import DOCUMENT, LIST, OWN, endpoint_rig, known, pod, request
from rolecall_agent.http.server_state import ServerRules

TTL = "X-aws-ec2-metadata-token-ttl-seconds: 60"
ASKED = {
    "list": LIST,
    "document": DOCUMENT,
    "token": request("/latest/api/token", TTL, method="PUT"),
    "no path": request("/latest/none"),
    "method": request(method="POST"),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_each_answer_is_the_last_of_its_connection(asked: bytes) -> None:
    """Also one that was given on the same connection just before, to the very same bytes."""
    async with endpoint_rig() as rig, rig.client() as client:
        rig.snapshot(*known(pod(OWN)))
        before = []
        for _ in range(2):
            client.send(asked)
            before.append(await client.answer())
        rig.server.leave()
        client.send(asked)
        [after] = await client.until_closed()

    assert ["connection" in each.headers for each in before] == [False, False]
    assert after.headers["connection"] == "close"
    assert after.status == before[0].status


async def test_new_connections_are_answered_all_the_same() -> None:
    """Once each: where nobody else answers there, it is still this agent."""
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN)))
        rig.server.leave()
        for _ in range(2):
            async with rig.client() as client:
                client.send(LIST)
                [answer] = await client.until_closed()

            assert answer.body == b"reader"
            assert answer.headers["connection"] == "close"


async def test_an_answer_that_has_begun_is_the_last_as_well() -> None:
    """Its beginning says nothing of the connection yet."""
    async with endpoint_rig(rules=ServerRules(patient=True)) as rig, rig.client() as client:
        rig.snapshot()
        client.send(LIST)
        begun = await client.some(1)
        rig.server.leave()
        rig.tell(*known(pod(OWN)))

        assert b"\r\nConnection: close\r\n" in begun + await client.rest_as_sent()


async def test_the_container_endpoint_says_so_too() -> None:
    """To good tokens and to bad ones."""
    async with container_rig() as rig:
        rig.snapshot(*known(web()))
        named = f"{rig.host}:{rig.port}"
        assert (await rig.ask(token())).status == 200
        for authorization, status in ((token(), 200), ("nonsense", 401)):
            async with rig.client() as client:
                client.send(asking(authorization, host=named))
                before = await client.answer()
                rig.server.leave()
                client.send(asking(authorization, host=named))
                [after] = await client.until_closed()
            rig.server.state.leaving = False

            assert "connection" not in before.headers
            assert after.headers["connection"] == "close"
            assert (before.status, after.status) == (status, status)
