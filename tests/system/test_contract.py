"""What pods may rely on, with every part a process of its own."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from fakes.system import System, namespace, pod, system

LIST = "/latest/meta-data/iam/security-credentials/"
READER, WRITER, PLAIN, DENIED, NOBODY = (f"127.7.0.{number}" for number in range(1, 6))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[System]:
    """Run a node with four pods: two with roles, one without, and one whose role is forbidden."""
    async with system(tmp_path) as running:
        running.write("rules", namespace(), namespace("closed", allowed_roles="[]"))
        running.write(
            "pods",
            pod("reader", READER, "reader"),
            pod("writer", WRITER, "team/writer"),
            pod("plain", PLAIN),
            pod("denied", DENIED, "reader", space="closed"),
        )
        await running.start_sts()
        await running.start_server()
        await running.start_agent()
        yield running


async def document(node: System, source: str, role: str) -> dict[str, str]:
    status, body = await node.get(LIST + role, source)
    assert status == 200, body
    fields: dict[str, str] = json.loads(body)
    return fields


async def test_each_pod_gets_its_own_role_and_no_other(node: System) -> None:
    """Right role, path role, other role, no role, denied role, unknown address."""
    await node.until(LIST, READER, lambda status, _: status == 200)
    await node.until(LIST, WRITER, lambda status, _: status == 200)

    assert await node.get(LIST, READER) == (200, "reader")
    assert await node.get(LIST, WRITER) == (200, "team/writer")
    assert (await document(node, READER, "reader"))["Code"] == "Success"
    assert await node.get(LIST + "team/writer", READER) == (404, "")
    assert await node.get(LIST + "made-up", READER) == (404, "")
    assert await node.get(LIST, PLAIN) == (404, "")
    assert await node.get(LIST, DENIED) == (404, "")
    assert await node.get(LIST + "reader", DENIED) == (404, "")


async def test_an_unknown_address_is_held_and_then_told_to_come_again(node: System) -> None:
    """Nobody's address waits as long as SDKs do, and no longer."""
    began = time.monotonic()
    status, _ = await node.get(LIST, NOBODY)
    held = time.monotonic() - began

    assert status == 503
    assert 0.85 <= held < 1.5  # 0.9 s, and what a busy machine adds


async def test_a_pod_that_comes_after_its_request_is_answered(node: System) -> None:
    """The request waits, and the event of its pod wakes it."""
    asking = asyncio.create_task(node.get(LIST, NOBODY))
    await asyncio.sleep(0)
    node.write("late", pod("late", NOBODY, "late"))

    assert await asking == (200, "late")


async def test_a_role_that_changes_is_another_one_at_once(node: System) -> None:
    """The old document is gone with the annotation that named it."""
    before = await document(node, READER, "reader")
    node.write("pods", pod("reader", READER, "other"))
    await node.until(LIST, READER, lambda status, body: (status, body) == (200, "other"))

    assert await node.get(LIST + "reader", READER) == (404, "")
    after = await document(node, READER, "other")
    assert after["AccessKeyId"] != before["AccessKeyId"]


async def test_a_pod_that_is_gone_has_nothing(node: System) -> None:
    """Its address is nobody's from the event on."""
    await document(node, READER, "reader")
    node.write("pods", pod("plain", PLAIN))

    await node.until(LIST, READER, lambda status, _: status == 503)


async def test_a_refused_role_is_one_call_however_often_it_is_asked_for(tmp_path: Path) -> None:
    """STS said no: every request is answered 404 at once, and STS is left in peace."""
    async with system(tmp_path) as node:
        node.write("all", namespace(), pod("reader", READER, "nobody-trusts-us"))
        await node.start_sts("--role", "arn:aws:iam::111122223333:role/some-other")
        await node.start_server()
        await node.start_agent()
        await node.until(LIST, READER, lambda status, _: status == 404)
        before = (await node.calls()).get("nobody-trusts-us", 0)
        answers = await asyncio.gather(*(node.get(LIST, READER) for _ in range(50)))
        after = (await node.calls()).get("nobody-trusts-us", 0)

    assert set(answers) == {(404, "")}
    # The schedule of retries (2 s at first) may fall into the burst; the requests add nothing.
    assert after - before <= 1


async def test_held_credentials_outlive_the_server(node: System) -> None:
    """A server that is away is not noticed; one that returns asks STS for nothing that is held."""
    held = await document(node, READER, "reader")
    await document(node, WRITER, "team/writer")
    server = next(each for each in node.everything if each.name == "server")
    calls = await node.calls()

    assert await server.stop() == 0
    assert await document(node, READER, "reader") == held
    agent = next(each for each in node.everything if each.name == "agent")
    await agent.wait_line("the stream ended")
    again = await node.start_server()
    await again.wait_line("an agent connected")
    assert await document(node, READER, "reader") == held
    assert await node.calls() == calls


async def test_an_agent_that_restarts_is_warm_again_without_a_call(node: System) -> None:
    """One snapshot brings back what the server holds."""
    held = await document(node, READER, "reader")
    agent = next(each for each in node.everything if each.name == "agent")
    calls = await node.calls()
    await agent.stop()
    await node.start_agent()

    assert await document(node, READER, "reader") == held
    assert await node.calls() == calls


async def test_an_agent_moves_to_another_server(tmp_path: Path) -> None:
    """Every replica can serve every node, and what is held moves along."""
    async with system(tmp_path) as node:
        node.write("all", namespace(), pod("reader", READER, "reader"))
        await node.start_sts()
        servers = [await node.start_server(name="one"), await node.start_server(name="two")]
        agent = await node.start_agent(servers=("one", "two"))
        await node.until(LIST, READER, lambda status, _: status == 200)
        held = await document(node, READER, "reader")
        line = await agent.wait_line("following a server")
        first = 0 if str(node.port("one")) in line else 1
        await servers[first].stop()
        await servers[1 - first].wait_line("an agent connected", '"held": 1')

        assert await document(node, READER, "reader") == held
        assert await node.calls() == {"reader": 1}


async def test_an_outage_of_sts_costs_only_what_is_new(node: System) -> None:
    """What is held is served; a new role waits, and has its answer when STS is back."""
    held = await document(node, READER, "reader")
    await node.weather(outage=1)
    node.write("late", pod("late", NOBODY, "late"))

    await node.until(LIST, NOBODY, lambda status, _: status == 503)
    assert await document(node, READER, "reader") == held
    await node.weather(outage=0)
    await node.until(LIST, NOBODY, lambda status, body: (status, body) == (200, "late"))


async def test_a_namespace_can_require_tokens(tmp_path: Path) -> None:
    """Without a token 401; with one of its own the pod is served, with another's it is not."""
    async with system(tmp_path) as node:
        strict = namespace("apps", allowed_roles='["**"]', imdsv2="required")
        node.write("all", strict, pod("reader", READER, "reader"), pod("writer", WRITER, "writer"))
        await node.start_sts()
        await node.start_server()
        await node.start_agent()
        ttl = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"
        own = await node.get("/latest/api/token", READER, ttl, "PUT")
        others = await node.get("/latest/api/token", WRITER, ttl, "PUT")
        await node.until(LIST, READER, lambda status, _: status == 401)

        assert (await node.get(LIST, READER, f"X-aws-ec2-metadata-token: {own[1]}\r\n"))[0] == 200
        foreign = f"X-aws-ec2-metadata-token: {others[1]}\r\n"
        assert (await node.get(LIST, READER, foreign))[0] == 401


async def test_external_ids_part_sessions(tmp_path: Path) -> None:
    """Pods that agree on role and external id share a session; no other two do."""
    async with system(tmp_path) as node:
        role = "arn:aws:iam::444455556666:role/partner"
        node.write(
            "all",
            namespace(),
            pod("one", READER, role, external_id="aaa"),
            pod("same", WRITER, role, external_id="aaa"),
            pod("other", PLAIN, role, external_id="bbb"),
        )
        await node.start_sts()
        await node.start_server("--allow-pod-external-id")
        await node.start_agent()
        keys = []
        for source in (READER, WRITER, PLAIN):
            await node.until(LIST, source, lambda status, body: (status, body) == (200, role))
            keys.append((await document(node, source, role))["AccessKeyId"])

    assert keys[0] == keys[1] != keys[2]
