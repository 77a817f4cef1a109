"""Secrets are in no log, metric, audit record or error, however much is logged.

Everything runs at debug level. The secrets of the run are collected from where they belong: the
documents that pods were given, the files that processes were given. Then all output is searched.
"""

import asyncio
import json
import signal
from pathlib import Path

import jsonschema
import pytest

from fakes.system import System, namespace, pod, system

LIST = "/latest/meta-data/iam/security-credentials/"
POD, OTHER, LATE = "127.7.1.1", "127.7.1.2", "127.7.1.3"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/audit.schema.json").read_text())
CANARY = "canary/own/secret/key/of/the/server/0000"
TTL = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"


async def live(node: System) -> list[str]:
    """Let as much happen as can; return the secrets that came of it."""
    node.write("all", namespace(), pod("one", POD, "reader"), pod("two", OTHER, "writer"))
    sts = await node.start_sts()
    server = await node.start_server()
    await node.start_agent()
    secrets = [*await serve(node, POD, "reader"), *await serve(node, OTHER, "writer")]
    _, token = await node.get("/latest/api/token", POD, TTL, "PUT")
    secrets.append(token)
    await node.get(LIST, OTHER, f"X-aws-ec2-metadata-token: {token}\r\n")
    await node.get(LIST, POD, f"X-aws-ec2-metadata-token: {token}x\r\n")
    await node.get(f"/{token}", POD)
    node.write("all", namespace(), pod("one", POD, "changed"), pod("two", OTHER, "arn:bad"))
    secrets += await serve(node, POD, "changed")
    await node.weather(outage=1)
    node.write("late", pod("late", LATE, "late"))
    await node.until(LIST, LATE, lambda status, _: status == 503)
    await server.stop()
    await sts.stop(signal.SIGKILL)
    # STS knows the server's keys no more: its complaint must not repeat them.
    await node.run_sts_with_other_keys()
    again = await node.start_server()
    await again.wait_line("STS gave no session")
    for running in node.everything:
        await running.stop()
    return secrets


async def serve(node: System, source: str, role: str) -> list[str]:
    await node.until(LIST, source, lambda status, body: (status, body) == (200, role))
    fields = json.loads((await node.get(LIST + role, source))[1])
    return [fields["SecretAccessKey"], fields["Token"]]


def files(root: Path) -> list[str]:
    """Return the secrets that the processes were given in files, a line each."""
    key = (root / "server.key").read_text().splitlines()[1:-1]
    return [(root / "token-secret").read_text(), *key]


def found(secrets: list[str], output: str) -> list[str]:
    """Return which of *secrets* are in *output*, in whole or in a telling part."""
    parts = {part for secret in secrets for part in (secret, secret[:24], secret[-24:])}
    return [part for part in parts if part in output]


async def said(node: System) -> str:
    lines = [line for running in node.everything for line in (*running.err, *running.out)]
    return "\n".join(lines)


@pytest.mark.parametrize("form", ["json", "text"])
async def test_nothing_secret_is_ever_said(tmp_path: Path, form: str) -> None:
    """Logs, audit records and tracebacks of a rich life hold none of its secrets."""
    async with system(tmp_path, CANARY, level="debug") as node:
        node.log_format = form
        secrets = [*await live(node), CANARY, *files(tmp_path)]
        output = await said(node)
        records = [
            json.loads(line)
            for running in node.everything
            for line in running.out
            if '"audit"' in line
        ]

    for record in records:
        jsonschema.validate(record, SCHEMA)
    assert {record["event"] for record in records} >= {"session_issued", "first_serve", "denied"}
    assert len(secrets) > 10
    assert "session_issued" in output
    assert found(secrets, output) == []
    # The search does find: a secret that somebody printed, and half of one.
    assert all(found([secret], f"{output}oops: {secret[:24]}") for secret in secrets)


async def test_nothing_secret_is_measured(tmp_path: Path) -> None:
    """Metrics and readiness of both processes hold no secret, no role, no pod and no address."""
    async with system(tmp_path, CANARY, level="debug") as node:
        node.write("all", namespace(), pod("one", POD, "reader"))
        await node.start_sts()
        await node.start_server()
        await node.start_agent()
        secrets = [*await serve(node, POD, "reader"), CANARY, *files(tmp_path)]
        pages = await asyncio.gather(
            *(node.admin(name, path) for name in ("server", "agent") for path in
              ("/metrics", "/readyz", "/healthz"))
        )  # fmt: skip
    output = "\n".join(body for _, body in pages)

    assert {status for status, _ in pages} == {200}
    assert found(secrets, output) == []
    assert not [word for word in ("reader", "apps", POD, "node-a") if word in output]
