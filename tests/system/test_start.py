"""How the commands start, refuse to, and end."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from prometheus_client.parser import text_string_to_metric_families

import rolecall_agent.metrics
import rolecall_common.process_metrics
import rolecall_server.telemetry.metrics
from fakes.cluster import namespace, pod
from fakes.running import Running
from fakes.system import LIST, System, system
from rolecall_common.metrics import OTHER, Metric
from rolecall_common.version import VERSION
from testcluster.ports import free_ports

POD, NOBODY = "127.7.2.1", "127.7.2.2"

# What is asked of a side that cannot start so, and what its one line says: the setting, the value
# or the file, and what is accepted or what is wrong.
REFUSALS: dict[str, tuple[str, list[str], list[str]]] = {
    "another address": (
        "server", ["--listen", "0.0.0.0:8443"],
        ["listen: '0.0.0.0:8443'", "only a literal loopback address is accepted"],
    ),
    "a name for an address": (
        "server", ["--listen", "localhost:8443"],
        ["listen: 'localhost:8443'", "only a literal loopback address is accepted"],
    ),
    "a short session": (
        "server", ["--session-duration", "20m"],
        ["sessionDuration: '20m'", "0.52 x 20m - 5m (reportedEarly) = 5m24s", "promised 10m"],
    ),
    "a long session": (
        "server", ["--session-duration", "13h"],
        ["sessionDuration: '13h'", "accepted is a duration from 15m to 12h"],
    ),
    "a report that is too early": (
        "server", ["--reported-early", "30m"],
        ["sessionDuration: 1h", "0.52 x 1h - 30m (reportedEarly) = 1m12s"],
    ),
    "an unknown field": (
        "server", ["--session-name", "{nobody}"], ["'nobody' in braces"],
    ),
    "no region": ("server", ["--region", "Mars"], ["region: 'Mars'", "such as eu-west-1"]),
    "no certificate": (
        "server", ["--tls-certificate", "{root}/token"],
        ["tlsCertificate, tlsKey: {root}/token holds no PEM certificate"],
    ),
    "a certificate that is not there": (
        "server", ["--tls-certificate", "/nonexistent"],
        ["tlsCertificate, tlsKey: /nonexistent cannot be read: No such file"],
    ),
    "a certificate that has ended": (
        "server", ["--tls-certificate", "{root}/ended.pem", "--tls-key", "{root}/ended.key"],
        ["tlsCertificate, tlsKey: {root}/ended.pem has ended at "],
    ),
    "no key": (
        "server", ["--tls-key", "{root}/server.pem"],
        ["tlsCertificate, tlsKey: {root}/server.pem holds no PEM key"],
    ),
    "the key of another certificate": (
        "server", ["--tls-key", "{root}/ended.key"],
        ["tlsCertificate, tlsKey: {root}/ended.key is not the key of {root}/server.pem"],
    ),
    "a short secret": (
        "server", ["--token-secret-file", "/dev/null"],
        ["tokenSecretFile: /dev/null has less than 32 bytes"],
    ),
    "a directory for a secret": (
        "server", ["--token-secret-file", "{root}"],
        ["tokenSecretFile: {root}: Is a directory"],
    ),
    "no base": ("server", ["--base-arn", "arn:bad"], ["baseArn: 'arn:bad'", "such as arn:aws"]),
    "no account": (
        "server", ["--allowed-accounts", "12"], ["allowedAccounts: '12'", "12 digits"],
    ),
    "no default role": (
        "server", ["--default-role", "a//b"], ["defaultRole: 'a//b'"],
    ),
    "an audit file in no directory": (
        "server", ["--audit-file", "/nonexistent/audit"],
        ["auditFile: /nonexistent/audit: No such file"],
    ),
    "an unknown flag": ("server", ["--unheard-of"], ["--unheard-of"]),
    "no file of settings": (
        "server", ["--config", "/nonexistent"], ["/nonexistent: No such file"],
    ),
    "a port of somebody": (
        "server", ["--listen", "127.0.0.1:{taken}"],
        ["listen: cannot listen on 127.0.0.1:{taken}"],
    ),
    "a port of somebody for health": (
        "server", ["--admin-listen", "127.0.0.1:{taken}"],
        ["adminListen: ", "('127.0.0.1', {taken}): address already in use"],
    ),
    "no authorities": (
        "agent", ["--ca-file", "{root}/token"], ["caFile: {root}/token holds no PEM certificate"],
    ),
    "authorities that are not there": (
        "agent", ["--ca-file", "/nonexistent"], ["caFile: /nonexistent cannot be read: No such"],
    ),
    "no servers": ("agent", ["--servers", "here"], ["servers: ", "here", "host:port"]),
    "a long hold": ("agent", ["--hold", "1m"], ["hold: '1m'", "from 0s to 10s"]),
    "an endpoint of somebody": (
        "agent", ["--listen", "127.0.0.1:{taken}"],
        ["listen: cannot listen on 127.0.0.1:{taken}: Address already in use"],
    ),
    "an agent's health on a port of somebody": (
        "agent", ["--admin-listen", "127.0.0.1:{taken}"],
        ["adminListen: ", "('127.0.0.1', {taken}): address already in use"],
    ),
    "an agent's audit file in no directory": (
        "agent", ["--audit-file", "/nonexistent/audit"],
        ["auditFile: /nonexistent/audit: No such file"],
    ),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def refusals(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[dict[str, tuple[Running, list[str]]]]:
    """Try every start of REFUSALS, some at a time; give each process and what it should say."""
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(system(tmp_path_factory.mktemp("refusals")))
        _write_ended_certificate(node.root)
        somebody = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        known = {"root": node.root, "taken": somebody.getsockname()[1]}
        at_once = asyncio.Semaphore(3)

        async def refuse(side: str, flags: list[str]) -> Running:
            own = node.server_flags() if side == "server" else node.agent_flags()
            # Each agent has an endpoint of its own: it is bound before anything else is looked at.
            shared, endpoint = f"127.0.0.1:{node.endpoint}", f"127.0.0.1:{free_ports(1)[0]}"
            own = [endpoint if each == shared else each for each in own]
            flags = [each.replace("{nobody}", "{{nobody}}").format(**known) for each in flags]
            async with at_once:
                running = await node.run("refused", "-m", "rolecall_cli", side, *own, *flags)
                await running.ended()
            return running

        tried = await asyncio.gather(*(refuse(side, flags) for side, flags, _ in REFUSALS.values()))
        said = [[part.format(**known) for part in parts] for _, _, parts in REFUSALS.values()]
        yield dict(zip(REFUSALS, zip(tried, said, strict=True), strict=True))


def _write_ended_certificate(root: Path) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    ended = trustme.CA().issue_cert("127.0.0.1", not_after=yesterday)
    ended.cert_chain_pems[0].write_to_path(str(root / "ended.pem"))
    ended.private_key_pem.write_to_path(str(root / "ended.key"))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", REFUSALS)
async def test_what_cannot_be_kept_is_refused(
    refusals: dict[str, tuple[Running, list[str]]], case: str
) -> None:
    """Exit code 2 before anybody is served, and one line that names the setting and the reason."""
    running, parts = refusals[case]

    assert running.process.returncode == 2, running.err
    complaints = [line for line in running.err if line.startswith("rolecall")]
    assert len(complaints) == 1, running.err
    assert [part for part in parts if part not in complaints[0]] == [], complaints
    assert "Traceback" not in "\n".join(running.err)


async def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    """A flag, a variable and the file: whoever mends one need not find the next by trying."""
    file = tmp_path / "settings.yaml"
    file.write_text("regoin: eu-west-1\nstsBurst: many\n")
    words = ("server", "--config", str(file), "--fips", "perhaps")
    async with system(tmp_path) as node:
        running = await node.run("refused", "-m", "rolecall_cli", *words, ROLECALL_BASE_ARM="x")
        code = await running.ended()

    assert code == 2
    expected = [
        f"'regoin' (from {file}): no such setting; did you mean region?",
        "ROLECALL_BASE_ARM (from the environment): no such setting",
        f"stsBurst: 'many' (from {file}): ",
        "fips: 'perhaps' (from the command line): ",
        "tlsKey: it must be set",
    ]
    for part in expected:
        assert [part in line for line in running.err].count(True) == 1, (part, running.err)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--help"], "usage: rolecall [-h] [--version] COMMAND ..."),
        (["server", "--help"], "usage: rolecall server [--SETTING VALUE ...]"),
        (["agent", "--help"], "usage: rolecall agent [--SETTING VALUE ...]"),
        (["demo", "--help"], "usage: rolecall demo [--SETTING VALUE ...]"),
        (["--version"], f"rolecall {VERSION}"),
    ],
)
async def test_help_and_version_need_nothing(tmp_path: Path, words: list[str], line: str) -> None:
    """They answer on stdout, in a process that has been told nothing at all."""
    async with system(tmp_path) as node:
        running = await node.run("help", "-m", "rolecall_cli", *words)
        code = await running.ended()

    assert code == 0
    assert running.err == []
    assert running.out[0] == line


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[System]:
    """Run everything, with one pod that has been served, one refused role and one denied."""
    async with system(tmp_path_factory.mktemp("probes")) as running:
        running.write("all", namespace(), pod("one", POD, "reader"), pod("bad", NOBODY, "arn:bad"))
        await running.start()
        await running.until_served(POD, "reader")
        await running.get(LIST, NOBODY)
        yield running


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("server", rolecall_server.telemetry.metrics.METRICS),
        ("agent", rolecall_agent.metrics.METRICS),
    ],
)
async def test_what_is_declared_is_measured(
    node: System, name: str, declared: tuple[Metric, ...]
) -> None:
    """A scrape has every metric of the table and no other of ours; each label is of its set."""
    status, text = await node.probe(name, "/metrics")
    expected = {each.name: each for each in (*declared, *rolecall_common.process_metrics.METRICS)}
    measured = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith("rolecall_"):
            measured[family.name + ("_total" if family.type == "counter" else "")] = family

    assert status == 200
    assert set(measured) == set(expected)
    for metric in expected.values():
        family = measured[metric.name]
        assert (family.type, family.documentation) == (metric.kind, metric.meaning)
        allowed = {label.name: {*label.values, OTHER} for label in metric.labels if label.values}
        for sample in family.samples:
            labels = {key: value for key, value in sample.labels.items() if key != "le"}
            assert labels.keys() == set(metric.label_names), sample
            assert all(value in allowed.get(key, {value}) for key, value in labels.items()), sample


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ["server", "agent"])
async def test_health_is_told_on_a_port_of_its_own(node: System, name: str) -> None:
    """And never on the endpoint, where pods ask."""
    assert await node.probe(name, "/healthz") == (200, "ok\n")
    assert await node.probe(name, "/readyz") == (200, "ready\n")
    assert (await node.probe(name, "/metrics"))[0] == 200
    assert (await node.probe(name, LIST))[0] == 404
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await node.get(path, POD))[0] == 404


async def test_both_end_at_once_and_well(tmp_path: Path) -> None:
    """SIGTERM ends each with exit code 0, though a stream is open and a request is held."""
    async with system(tmp_path) as node:
        await node.start(hold="8s")
        reader, writer = await asyncio.open_connection("127.0.0.1", node.endpoint)
        writer.write(b"GET /half-a-request")
        held = asyncio.create_task(node.get(LIST, NOBODY))
        await node.until_held(1)
        began = time.monotonic()
        codes = [await node.running(name).stop() for name in ("agent", "server")]
        took = time.monotonic() - began
        answer, _ = await held
        assert await reader.read() == b""
        writer.close()

    assert codes == [0, 0]
    assert took < 20.0  # Some hundredths of a second; nobody waits for a stream to end by itself.
    assert answer == 503
    assert "Traceback" not in node.said


async def test_a_server_with_an_open_stream_ends_at_once(tmp_path: Path) -> None:
    """Its agents are told, and do not have to find out."""
    async with system(tmp_path) as node:
        await node.start()
        began = time.monotonic()
        assert await node.running("server").stop() == 0
        assert time.monotonic() - began < 20.0
        await node.running("agent").wait_line("the stream ended")
