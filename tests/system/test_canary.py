"""Secrets are in no log, metric, audit record or error, however much is logged.

Everything runs at debug level, asyncio's own debug mode included. Every secret that STS issues
begins with one word, so that also a secret that nobody has thought of is found by it. The others
are collected from where they belong: documents, tokens, and the files that processes were given.
Access key ids are no secret: they tie a record to CloudTrail.
"""

import asyncio
import base64
import hmac
import json
import os
import resource
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import quote

import pytest

from fakes.cluster import NODE, namespace, pod
from fakes.system import AUDIT, BASE, LIST, OwnKeys, System, system

ISSUED = "canaryIssued"
OWN = OwnKeys("canary/own/secret/key/of/the/server/0000", "canaryOwnToken" * 20)
TTL = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"
ONE, TWO, REFUSED = (f"127.7.1.{number}" for number in range(1, 4))
DEBUG = {"PYTHONASYNCIODEBUG": "1", "PYTHONFAULTHANDLER": "1", "PYTHONWARNINGS": "default"}

# Answers of STS, and of what stands between, that have a secret in them where none belongs.
# What is refused is told in STS's own words, but for the server's keys; of all else nothing is.
NAMING = f"{OWN.secret} with {OWN.token} may not"
QUOTING = f"{NAMING}: {ISSUED}Quoted"
HALF = (
    '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
    f"<Credentials><AccessKeyId>ASIA0123456789ABCDEF</AccessKeyId>"
    f"<SecretAccessKey>{ISSUED}Half</SecretAccessKey><SessionToken>{ISSUED}Half</SessionToken>"
)
WHOLE = f"{HALF}<Expiration>{{}}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
FAULTS: dict[str, dict[str, object]] = {
    "access-denied": {"code": "AccessDenied", "status": 403, "message": NAMING},
    "invalid": {"code": "ValidationError", "message": NAMING},
    "packed": {"code": "PackedPolicyTooLarge", "message": NAMING},
    "region": {"code": "RegionDisabledException", "status": 403, "message": QUOTING},
    "throttled": {"code": "Throttling", "message": QUOTING},
    "internal": {"code": "InternalFailure", "status": 500, "message": QUOTING},
    "signature": {"code": "SignatureDoesNotMatch", "status": 403, "message": QUOTING},
    "expired": {"code": "ExpiredToken", "status": 403, "message": QUOTING},
    "unheard-of": {"code": "Odd", "status": 418, "message": NAMING},
    "dropped": {"cut": "DROPPED"},
    "half-a-head": {"cut": "HEAD"},
    "half-a-body": {"cut": "BODY"},
    "no-end": {"body": WHOLE.format("soon")},
    "cut-short": {"body": HALF},
    "past": {"body": WHOLE.format("2001-01-01T00:00:00Z")},
    "odd-secret": {"body": WHOLE.format("2999-01-01T00:00:00Z").replace("Half<", 'Half"<')},
    "a-proxys-page": {"body": f"<html>{QUOTING}</html>", "status": 502},
    "a-redirect": {"body": QUOTING, "status": 307},
    "huge": {"body": f"{ISSUED}Huge" * 10_000},
}


def parts(secret: str) -> set[str]:
    """Return what would betray *secret*: either end of it, as it is and as it may be written."""
    spellings = {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
    return {end for each in spellings for end in (each[:20], each.rstrip("=")[-20:])}


def found(secrets: list[str], output: str) -> list[str]:
    """Return which of *secrets* are in *output*, in whole or in a telling part."""
    return [each for each in secrets if any(part in output for part in parts(each))]


def of_files(root: Path) -> list[str]:
    """Return the secrets that the processes were given in files, a line each."""
    key = (root / "server.key").read_text().splitlines()[1:-1]
    secret = (root / "token-secret").read_bytes()
    derived = hmac.digest(secret, NODE.encode(), "sha256")
    return [secret.decode(), *key, derived.hex(), base64.b64encode(derived).decode()]


async def live(node: System) -> list[str]:
    """Let as much happen as can; return the secrets that pods were given."""
    node.write("all", namespace(), pod("one", ONE, "reader"), pod("two", TWO, "writer"))
    await node.start_sts("--canary", ISSUED, "--role", f"{BASE}untrusting,trusts=999999999999")
    await node.start_server()
    await node.start_agent()
    secrets = [*await serve(node, ONE, "reader"), *await serve(node, TWO, "writer")]
    secrets.append(await abuse_the_endpoint(node))
    node.write("all", namespace(), pod("one", ONE, "changed"), pod("two", TWO, "arn:bad"))
    secrets += await serve(node, ONE, "changed")
    node.write("refused", pod("refused", REFUSED, "untrusting"))
    await node.until(LIST, REFUSED, lambda status, _: status == 404)
    await meet_every_fault(node)
    await end_badly(node)
    return secrets


async def serve(node: System, source: str, role: str) -> list[str]:
    document = await node.until_served(source, role)
    assert document["Token"].startswith(ISSUED)
    return [document["SecretAccessKey"], document["Token"]]


async def abuse_the_endpoint(node: System) -> str:
    """Send a good token to where it does not belong; return it."""
    _, token = await node.get("/latest/api/token", ONE, TTL, "PUT")
    head = "X-aws-ec2-metadata-token"
    await node.get(LIST, ONE, f"{head}: {token}\r\n")
    for path, source, headers, method in [
        (LIST, TWO, f"{head}: {token}\r\n", "GET"),
        (LIST, ONE, f"{head}: {token}x\r\n", "GET"),
        (LIST, ONE, f"{head}: {token}\r\n{head}: {token}\r\n", "GET"),
        (LIST, ONE, f"{head}: {token}\r\n" * 120, "GET"),
        (LIST, ONE, f"{head}: {token * 200}\r\n", "GET"),
        (LIST, ONE, f"{head} : {token}\r\n", "GET"),
        (f"/{token}", ONE, "", "GET"),
        (f"/%{token}", ONE, "", "GET"),
        (f"{LIST}{token}", ONE, "", "GET"),
        (f"http://{token}/", ONE, "", "GET"),
        (LIST, ONE, f"Transfer-Encoding: {token}\r\n", "POST"),
        ("/latest/api/token", ONE, f"{TTL}X-Forwarded-For: {token}\r\n", "PUT"),
        (LIST, ONE, "", f"{token}"),
    ]:
        status, body = await node.get(path, source, headers, method)
        assert 400 <= status < 500, (path, headers, method)
        assert token not in body
    return token


async def meet_every_fault(node: System) -> None:
    """Let each pod's role meet a fault of its own, and have each fault told."""
    server = node.running("server")
    for number, (name, fault) in enumerate(FAULTS.items(), 1):
        await node.script(name, **fault)
        node.write(name, pod(name, f"127.7.10.{number}", name))
    for name in FAULTS:
        await server.wait_line("STS gave no session", f"role/{name}")


async def end_badly(node: System) -> None:
    """Stop STS, have it come back without the server's keys, and crash both sides."""
    await node.running("sts").stop(signal.SIGKILL)
    stranger = OwnKeys("somebody/elses", "")
    await node.start_sts(own=stranger)
    node.write("last", pod("last", "127.7.1.4", "last"))
    # Whichever role it asks for: an STS that gives none is asked by one call at a time.
    await node.running("server").wait_line("STS gave no session", "InvalidClientTokenId")
    agent, server = node.running("agent"), node.running("server")
    os.kill(agent.worker, signal.SIGABRT)
    assert await server.stop(signal.SIGABRT) == -signal.SIGABRT
    # The last words of a crash: where it was, and nothing of what it held.
    for each in (agent, server):
        await each.wait_line("Fatal Python error: Aborted")
    await agent.wait_line("this worker takes the place of one that ended by itself")
    assert await agent.stop() == 0
    await node.start_server()
    await node.running("server").stop()


@pytest.mark.parametrize("form", ["json", "text"])
async def test_nothing_secret_is_ever_said(tmp_path: Path, form: str) -> None:
    """Logs, audit records and crashes of a rich life hold none of its secrets."""
    audit = ("--audit-file", str(tmp_path / "audit")) if form == "text" else ()
    async with system(tmp_path, OWN) as node:
        node.output = ("--log-level", "debug", "--log-format", form, *audit)
        node.environment = DEBUG
        secrets = [*await live(node), OWN.secret, OWN.token, ISSUED, *of_files(tmp_path)]
        records = [record for each in node.everything for record in each.records]
        output = node.said
    if audit:
        file = (tmp_path / "audit").read_text()
        records += [json.loads(line) for line in file.splitlines()]
        output += file

    for record in records:
        AUDIT.validate(record)
    assert {record["event"] for record in records} == {
        *("session_issued", "first_serve", "denied", "refused")
    }
    assert "a session was issued" in output  # It was debug level, indeed.
    assert len(set(secrets)) > 10
    assert found(secrets, output) == []
    # The search does find: each secret, and either half of it, wherever somebody might print it.
    for secret in secrets:
        for spelt in (secret, repr(secret.encode()), quote(secret, safe=""), secret[:20]):
            assert found([secret], f"{output}\noops: {spelt}\n") == [secret]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[System]:
    async with system(tmp_path, OWN) as running:
        running.output = ("--log-level", "debug")
        running.write("all", namespace(), pod("one", ONE, "reader"))
        await running.start_sts("--canary", ISSUED)
        await running.start_server()
        await running.start_agent()
        yield running


async def test_nothing_secret_is_measured(node: System) -> None:
    """Metrics and readiness of both sides hold no secret, no role, no pod and no address."""
    secrets = [*await serve(node, ONE, "reader"), OWN.secret, OWN.token, ISSUED]
    secrets.append(await abuse_the_endpoint(node))
    secrets += of_files(node.root)
    pages = await asyncio.gather(
        *(
            node.probe(name, path)
            for name in ("server", "agent")
            for path in ("/metrics", "/readyz", "/healthz")
        )
    )
    output = "\n".join(body for _, body in pages)

    assert {status for status, _ in pages} == {200}
    assert found(secrets, output) == []
    assert not [word for word in ("reader", "apps", ONE, NODE, "ASIA") if word in output]


async def test_nothing_secret_lies_about(node: System) -> None:
    """The credentials of pods are in no file, and no process lets its core be written."""
    secrets = [*await serve(node, ONE, "reader"), ISSUED]

    server, agent = node.running("server"), node.running("agent")
    for pid in (server.process.pid, agent.process.pid, agent.worker):
        assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
    files = [file for file in node.root.rglob("*") if file.is_file()]
    text = "\n".join(file.read_text(errors="replace") for file in files)
    assert BASE not in text
    assert "apps" in text  # It is the right place.
    assert found(secrets, text) == []
