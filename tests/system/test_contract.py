"""What pods may rely on, with every part a process of its own. Nothing is stopped in this file.

One system serves all tests: each has pods, addresses and roles of its own.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from fakes.cluster import namespace, pod
from fakes.system import BASE, LIST, System, system

pytestmark = pytest.mark.asyncio(loop_scope="module")

READER, WRITER, PLAIN, DENIED = (f"127.7.0.{number}" for number in range(1, 5))
NOBODY = "127.7.0.5"
PARTNER = "arn:aws:iam::444455556666:role/partner"
STRANGER = "arn:aws:iam::999999999999:root"
PROOF = "/latest/api/token"
TTL = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"
LOOPBACK = "127.0.0.1"  # Where an SDK's requests come from that knows no other source.
SDK = """
import boto3
session = boto3.Session()
keys = session.get_credentials()
print(keys.method, session.client("sts").get_caller_identity()["Arn"], flush=True)
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[System]:
    """Run a node with four pods: two with roles, one without, and one whose role is forbidden."""
    async with system(tmp_path_factory.mktemp("contract")) as running:
        running.write("rules", namespace(), namespace("closed", allowed_roles="[]"))
        running.write(
            "pods",
            pod("reader", READER, "reader"),
            pod("writer", WRITER, "team/writer"),
            pod("plain", PLAIN),
            pod("denied", DENIED, "reader", space="closed"),
        )
        await running.start_sts(
            "--role", f"{BASE}untrusting,trusts={STRANGER}",
            "--role", f"{PARTNER},external-id=known",
        )  # fmt: skip
        await running.start_server("--allow-pod-external-id")
        await running.start_agent(
            "--hold", "5s"
        )  # What is held is held still when it is looked at.
        yield running


def with_token(token: str) -> str:
    return f"X-aws-ec2-metadata-token: {token}\r\n"


async def test_a_pod_gets_its_own_role(node: System) -> None:
    """A name or a path name: one line, and a document that says Success."""
    reader = await node.until_served(READER, "reader")
    writer = await node.until_served(WRITER, "team/writer")

    assert reader["Code"] == writer["Code"] == "Success"
    assert reader["AccessKeyId"] != writer["AccessKeyId"]


async def test_nobody_gets_another_role(node: System) -> None:
    """Another pod's, one that nobody has, or one that the namespace forbids: the same 404."""
    await node.until_served(WRITER, "team/writer")
    asked = [
        (READER, "team/writer"),
        (READER, "made-up"),
        (READER, PARTNER),
        (PLAIN, ""),
        (PLAIN, "reader"),
        (DENIED, ""),
        (DENIED, "reader"),
    ]

    answers = {await node.get(LIST + role, source) for source, role in asked}
    assert answers == {(404, "")}


async def test_an_unknown_address_is_held_and_then_told_to_come_again(tmp_path: Path) -> None:
    """Nobody's address waits for nine tenths of a second, unless it is set otherwise."""
    async with system(tmp_path) as another:
        await another.start()
        began = time.monotonic()
        status, _ = await another.get(LIST, NOBODY)
        held = time.monotonic() - began

    assert status == 503
    assert held >= 0.85


async def test_a_pod_that_comes_after_its_request_is_answered(node: System) -> None:
    """The request waits, and the event of its pod wakes it."""
    late = "127.7.1.1"
    asking = asyncio.create_task(node.get(LIST, late))
    await node.until_held(1)
    node.write("late", pod("late", late, "late"))

    assert await asking == (200, "late")


async def test_a_role_that_changes_is_another_one_at_once(node: System) -> None:
    """The old document is gone with the annotation that named it."""
    source = "127.7.1.2"
    node.write("changing", pod("changing", source, "before"))
    before = await node.until_served(source, "before")
    node.write("changing", pod("changing", source, "after"))
    after = await node.until_served(source, "after")

    assert await node.get(LIST + "before", source) == (404, "")
    assert after["AccessKeyId"] != before["AccessKeyId"]


async def test_a_pod_that_is_gone_has_nothing(node: System) -> None:
    """Its address is nobody's from the event on."""
    source = "127.7.1.3"
    node.write("going", pod("going", source, "going"))
    await node.until_served(source, "going")
    node.write("going")

    await node.until(LIST + "going", source, lambda status, _: status == 503)


async def test_an_address_that_is_used_again_is_its_new_pods(node: System) -> None:
    """The next pod at an address has its own role, and nothing of the last one's."""
    source = "127.7.1.4"
    node.write("reused", pod("first", source, "first"))
    await node.until_served(source, "first")
    node.write("reused", pod("second", source, "second"))
    await node.until_served(source, "second")

    assert await node.get(LIST + "first", source) == (404, "")


async def test_a_refused_role_is_one_call_however_often_it_is_asked_for(node: System) -> None:
    """Fifty requests wait for a pod whose role trusts nobody: all are refused, STS is asked once.

    The refusal is recorded, with its reason.
    """
    source = "127.7.1.5"
    asking = [asyncio.create_task(node.get(LIST, source)) for _ in range(50)]
    await node.until_held(50)
    node.write("refused", pod("refused", source, "untrusting"))

    assert set(await asyncio.gather(*asking)) == {(404, "")}
    assert (await node.calls())["untrusting"] == 1
    await node.running("server").wait_line('"event": "refused"', '"pod": "refused"')
    [record] = [each for each in node.running("server").records if each["event"] == "refused"]
    assert record["reason"] == "access_denied"


async def test_a_role_of_another_account_is_named_by_its_arn(node: System) -> None:
    """Its external id opens it; who has another one, or none, is refused."""
    right, wrong, none = "127.7.1.6", "127.7.1.7", "127.7.1.8"
    node.write(
        "partners",
        pod("right", right, PARTNER, external_id="known"),
        pod("wrong", wrong, PARTNER, external_id="guessed"),
        pod("none", none, PARTNER),
    )

    await node.until_served(right, PARTNER)
    for source in (wrong, none):
        await node.until(LIST, source, lambda status, body: (status, body) == (404, ""))
        assert await node.get(LIST + PARTNER, source) == (404, "")


async def test_only_pods_that_agree_on_everything_share_a_session(node: System) -> None:
    """Role, external id and session name: one that differs is another session."""
    role = "shared"
    sources = [f"127.7.2.{number}" for number in range(1, 5)]
    node.write(
        "sharing",
        namespace("elsewhere"),
        pod("one", sources[0], role, external_id="aaa"),
        pod("same", sources[1], role, external_id="aaa"),
        pod("other-id", sources[2], role, external_id="bbb"),
        pod("other-name", sources[3], role, space="elsewhere", external_id="aaa"),
    )
    documents = [await node.until_served(source, role) for source in sources]
    keys = [document["AccessKeyId"] for document in documents]

    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert (await node.calls())[role] == 3


async def test_a_token_is_given_as_ec2_gives_it(node: System) -> None:
    """56 characters for a pod, and one for an address that no pod has yet."""
    for source in (READER, NOBODY):
        status, token = await node.get(PROOF, source, TTL, "PUT")
        assert (status, len(token)) == (200, 56)

    ttl = TTL.split(":", maxsplit=1)[0]
    assert (await node.get(PROOF, READER, "", "PUT"))[0] == 400
    assert (await node.get(PROOF, READER, f"{ttl}: 0\r\n", "PUT"))[0] == 400
    assert (await node.get(PROOF, READER, f"{ttl}: 21601\r\n", "PUT"))[0] == 400
    assert (await node.get(PROOF, READER, f"{TTL}X-Forwarded-For: {WRITER}\r\n", "PUT"))[0] == 403
    assert (await node.get("/2021-07-15/api/token", READER, TTL, "PUT"))[0] == 403
    assert (await node.get(PROOF, READER))[0] == 405


async def test_a_token_is_good_from_its_own_address_only(node: System) -> None:
    """Another pod's is 401 even where none is needed, and so is one with a letter changed."""
    await node.until_served(READER, "reader")
    _, own = await node.get(PROOF, READER, TTL, "PUT")
    _, foreign = await node.get(PROOF, WRITER, TTL, "PUT")
    broken = own[:-1] + ("A" if own[-1] != "A" else "B")

    assert await node.get(LIST, READER, with_token(own)) == (200, "reader")
    for token in (foreign, broken, "", own + own):
        assert (await node.get(LIST, READER, with_token(token)))[0] == 401


async def test_a_namespace_can_require_tokens(node: System) -> None:
    """Its pods have nothing without one; other namespaces' pods do as before."""
    source = "127.7.1.9"
    strict = namespace("strict", allowed_roles='["**"]', imdsv2="required")
    node.write("strict", strict, pod("careful", source, "careful", space="strict"))
    await node.until(LIST, source, lambda status, _: status == 401)
    _, token = await node.get(PROOF, source, TTL, "PUT")

    assert (await node.get(LIST + "careful", source))[0] == 401
    assert await node.get(LIST, source, with_token(token)) == (200, "careful")
    assert await node.get(LIST, READER) == (200, "reader")


async def test_boto3_gets_credentials_that_aws_accepts(node: System) -> None:
    """Unmodified, by token, through its default chain; then STS tells it who it is."""
    strict = namespace("sdk", allowed_roles='["**"]', imdsv2="required")
    node.write("sdk", strict, pod("sdk", LOOPBACK, "team/sdk", space="sdk"))
    await node.until(LIST, LOOPBACK, lambda status, _: status == 401)
    sdk = await node.run(
        "boto3", "-c", SDK,
        AWS_EC2_METADATA_SERVICE_ENDPOINT=f"http://127.0.0.1:{node.endpoint}",
        AWS_ENDPOINT_URL_STS=f"http://127.0.0.1:{node.port('sts')}",
        AWS_DEFAULT_REGION="eu-west-1",
    )  # fmt: skip

    assert await sdk.ended() == 0, sdk.err[-1]
    assert sdk.out == ["iam-role arn:aws:sts::111122223333:assumed-role/sdk/sdk.default"]


async def test_who_had_what_is_recorded(node: System) -> None:
    """From the access key id that CloudTrail shows to STS's request, and to the pod."""
    document = await node.until_served(READER, "reader")
    key = f'"access_key_id": "{document["AccessKeyId"]}"'
    issued = json.loads(await node.running("server").wait_line("session_issued", key))
    served = json.loads(await node.running("agent").wait_line("first_serve", key))

    assert issued["session"] == served["session"]
    assert issued["role"] == served["role"] == f"{BASE}reader"
    assert issued["request_id"]
    assert (served["namespace"], served["pod"], served["node"]) == ("apps", "reader", "node-a")
    assert served["reported_end"] == document["Expiration"] < issued["expires_at"]
    assert {each["pod"] for each in node.running("server").records if each["event"] == "denied"} \
        == {"denied"}  # fmt: skip
