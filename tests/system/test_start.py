"""How the commands start, refuse to, and end."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import rolecall_agent.metrics
import rolecall_common.process
import rolecall_server.metrics
from fakes.system import Running, System, namespace, pod, system
from rolecall_common.metrics import Metric

LIST = "/latest/meta-data/iam/security-credentials/"
POD = "127.7.2.1"
HELD = 'rolecall_agent_held_requests{door="metadata"} 1.0'


async def refused(node: System, *words: str, **environment: str) -> list[str]:
    """Run a command that cannot start; return what it said, a line for each problem."""
    running = await node.run("refused", "-m", "rolecall_cli", *words, environment=environment)
    assert await running.stop(0) == 2
    await asyncio.gather(*running.readers)
    assert not [line for line in running.err if "Traceback" in line]
    return running.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--listen", "0.0.0.0:8443"], "loopback"),
        (["--session-duration", "20m"], "0.52 x 20m - 5m (reportedEarly) = 5m24s"),
        (["--session-duration", "13h"], "sessionDuration: '13h'"),
        (["--session-name", "{nobody}"], "'nobody' in braces"),
        (["--region", "Mars"], "region: 'Mars'"),
        (["--tls-certificate", "/nonexistent"], "/nonexistent"),
        (["--tls-key", "{certificate}"], "no PEM key"),
        (["--token-secret-file", "/dev/null"], "/dev/null has less than 32 bytes"),
        (["--base-arn", "arn:bad"], "baseArn: 'arn:bad'"),
        (["--allowed-accounts", "12"], "allowedAccounts: '12'"),
        (["--default-role", "a//b"], "default role"),
        (["--unheard-of"], "--unheard-of"),
        (["--audit-file", "/nonexistent/audit"], "/nonexistent/audit"),
    ],
)
async def test_a_server_refuses_what_it_cannot_keep(
    tmp_path: Path, flags: list[str], said: str
) -> None:
    """Exit code 2, before anybody is served, and a line that names the setting or the file."""
    async with system(tmp_path) as node:
        certificate = str(tmp_path / "server.pem")
        flags = [flag.format(certificate=certificate, nobody="{nobody}") for flag in flags]
        lines = await refused(node, "server", *node.server_flags(), *flags)

    assert any(said in line for line in lines), lines


async def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    """A flag, a variable and the file: whoever mends one need not find the next by trying."""
    file = tmp_path / "settings.yaml"
    file.write_text("regoin: eu-west-1\nstsBurst: many\n")
    async with system(tmp_path) as node:
        lines = await refused(
            node, "server", "--config", str(file), "--fips", "perhaps", ROLECALL_BASE_ARM="x"
        )

    for part in ("regoin", "region", "stsBurst", "'many'", "perhaps", "ROLECALL_BASE_ARM"):
        assert any(part in line for line in lines), (part, lines)


async def test_a_port_that_is_taken_is_a_reason(tmp_path: Path) -> None:
    """Two servers on one port are a mistake, and the second one says so."""
    async with system(tmp_path) as node:
        await node.start_sts()
        await node.start_server()
        admin = f"127.0.0.1:{node.port('other-admin')}"
        lines = await refused(node, "server", *node.server_flags(), "--admin-listen", admin)

    assert any(str(node.port("server")) in line for line in lines), lines


@pytest.mark.parametrize("words", [["--help"], ["server", "--help"], ["agent", "--help"]])
async def test_help_is_for_newcomers(tmp_path: Path, words: list[str]) -> None:
    """Every command says what it is for, and every setting what it means."""
    async with system(tmp_path) as node:
        running = await node.run("help", "-m", "rolecall_cli", *words, environment={})
        assert await running.stop(0) == 0
        await asyncio.gather(*running.readers)
    text = "\n".join(running.out)

    assert text.startswith("usage: rolecall")
    assert "commands:" in text or "default:" in text


def families(text: str) -> dict[str, set[str]]:
    """Return the metrics of a scrape, and the names of their labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = found.setdefault(name, set())
        for sample in family.samples:
            labels.update(sample.labels)
    return found


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("server", rolecall_server.metrics.METRICS),
        ("agent", rolecall_agent.metrics.METRICS),
    ],
)
async def test_what_is_declared_is_measured(
    tmp_path: Path, name: str, declared: tuple[Metric, ...]
) -> None:
    """A scrape has every metric of the table, with its labels, and no other of ours."""
    async with system(tmp_path) as node:
        node.write("all", namespace(), pod("one", POD, "reader"))
        await node.start_sts()
        await node.start_server()
        await node.start_agent()
        await node.until(LIST, POD, lambda status, _: status == 200)
        status, text = await node.admin(name, "/metrics")
    measured = families(text)
    expected = {metric.name: metric for metric in (*declared, *rolecall_common.process.METRICS)}

    assert status == 200
    assert {each for each in measured if each.startswith("rolecall_")} == set(expected)
    for metric in expected.values():
        own = measured[metric.name] - {"le"}
        assert own <= set(metric.label_names), metric.name


async def test_both_end_at_once_and_well(tmp_path: Path) -> None:
    """SIGTERM ends each with exit code 0, though a stream is open and a request is held."""
    async with system(tmp_path) as node:
        await node.start_sts()
        server, agent = await node.start_server(), await node.start_agent()
        held = asyncio.create_task(node.get(LIST, POD))
        await node.until_measured("agent", HELD)
        codes = [await end(each) for each in (agent, server)]
        answer, _ = await held

    assert codes == [0, 0]
    assert answer == 503


async def end(running: Running) -> int:
    code = await running.stop()
    await asyncio.gather(*running.readers)
    assert not [line for line in running.err if "Traceback" in line]
    return code
