"""Whatever users write, the server lives on, names what it refuses, and serves their neighbours."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from core.hostile import (
    ESCAPES,
    EXTERNAL_IDS,
    INVALID_EXPRESSIONS,
    MEGABYTE,
    ROLES,
    SESSION_NAMES,
    SLOW_EXPRESSIONS,
    USELESS_LISTS,
)
from fakes.cluster import namespace, pod
from fakes.running import Running
from fakes.system import BASE, LIST, System, system

NEIGHBOUR, LATER = "127.7.3.1", "127.7.3.2"
FORGED = f'x\n{{"level": "critical", "message": "forged"}}\n12:00:00 ERROR forged {ESCAPES}'
MANIFESTS = {
    "not-yaml": "a: [b",
    "bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{next_}: &{next_} [{','.join([f'*{last}'] * 9)}]\n"
        for last, next_ in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "deep": "[" * 5000,
    "binary": "\x00\x01\x02",
    "tag": "!!python/object/apply:os.system ['true']\n",
    "scalar": "just text\n",
    "no-metadata": "apiVersion: v1\nkind: Pod\n",
    "null-spec": "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: apps}\nspec: null\n",
    "number": "apiVersion: v1\nkind: Pod\nmetadata: {name: 7, namespace: apps}\n",
    "numeric-annotation": "apiVersion: v1\nkind: Pod\nmetadata:\n  name: n\n  namespace: apps\n"
    "  annotations: {iam.amazonaws.com/role: 7}\nspec: {nodeName: node-a}\n",
    "bad-address": "apiVersion: v1\nkind: Pod\nmetadata: {name: y, namespace: apps}\n"
    "spec: {nodeName: node-a}\nstatus: {podIP: 10.0.0.1.5}\n",
    "huge-replicas": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: z, namespace: apps}\n"
    "spec: {replicas: 99999999999, template: {metadata: {}}}\n",
}  # fmt: skip


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[System]:
    """Make a node with a well-behaved pod; at the end it is served, and so is one more."""
    async with system(tmp_path) as running:
        running.write("neighbour", namespace(), pod("neighbour", NEIGHBOUR, "reader"))
        yield running
        # Whatever has happened meanwhile:
        await running.document(NEIGHBOUR, "reader")
        running.write("later", pod("later", LATER, "writer"))
        await running.until_served(LATER, "writer")
        assert await running.probe("server", "/healthz") == (200, "ok\n")
        assert (await running.probe("server", "/readyz"))[0] == 200
        assert running.running("server").is_alive
        assert 'rolecall_bugs_total{boundary="object"} 0.0' in await measured(running)
        assert "Traceback" not in running.said


def writable(texts: tuple[str, ...]) -> list[str]:
    """Return those of *texts* that a file can hold."""
    return [text for text in texts if not any("\ud800" <= letter <= "\udfff" for letter in text)]


def denied(server: Running) -> dict[str, dict[str, str]]:
    """Return the denials of *server*, by namespace and pod; each is told once."""
    records = [record for record in server.records if record["event"] == "denied"]
    by_pod = {f"{record['namespace']}/{record['pod']}": record for record in records}
    assert len(by_pod) == len(records)
    return by_pod


async def measured(node: System) -> list[str]:
    _, metrics = await node.probe("server", "/metrics")
    return metrics.splitlines()


async def test_hostile_annotations_are_refused_by_name(node: System) -> None:
    """Each strange role is denied with its reason, once, on one line; STS never hears of it."""
    roles = {f"strange-{number}": role for number, role in enumerate(writable(ROLES))}
    sources = {name: f"127.7.4.{number}" for number, name in enumerate(roles, 1)}
    node.write("strange", *(pod(name, sources[name], role) for name, role in roles.items()))
    await node.start()
    await node.until_served(NEIGHBOUR, "reader")

    assert {await node.get(LIST, source) for source in sources.values()} == {(404, "")}
    assert await node.calls() == {"reader": 1}
    records = denied(node.running("server"))
    assert records.keys() == {f"apps/{name}" for name in roles}
    assert {record["reason"] for record in records.values()} == {"role_malformed"}
    assert all(len(record["sentence"]) < 1000 for record in records.values())
    count = f'rolecall_denials_total{{reason="role_malformed"}} {len(roles)}.0'
    assert count in await measured(node)
    said = [json.loads(line) for line in node.running("server").err]
    told = [line["pod"] for line in said if line["message"] == "a pod is denied its role"]
    assert sorted(told) == sorted(roles)


async def test_hostile_namespaces_permit_nothing_and_harm_nobody(node: System) -> None:
    """A rule that cannot be read permits nothing in its namespace; others are as they were."""
    rules = [{"permitted": text} for text in writable(INVALID_EXPRESSIONS)]
    rules += [{"allowed_roles": text} for text in writable(USELESS_LISTS)]
    documents = []
    for number, rule in enumerate(rules):
        space = f"space-{number}"
        documents.append(namespace(space, **rule))
        documents.append(pod("asks", f"127.7.5.{number + 1}", "a-b-admin", space=space))
    for number, text in enumerate(SLOW_EXPRESSIONS):
        documents.append(namespace(f"slow-{number}", permitted=text))
        documents.append(pod("asks", f"127.7.8.{number + 1}", "a" * 60, f"slow-{number}"))
    node.write("spaces", *documents)
    await node.start()
    await node.until_served(NEIGHBOUR, "reader")

    for number in range(len(rules)):
        assert await node.get(LIST, f"127.7.5.{number + 1}") == (404, ""), rules[number]
    records = denied(node.running("server"))
    for number in range(len(rules)):
        assert records[f"space-{number}/asks"]["reason"] == "namespace_forbids", rules[number]
    # What takes others for ever is decided at once here, either way.
    for number in range(len(SLOW_EXPRESSIONS)):
        source = f"127.7.8.{number + 1}"
        await node.until(LIST, source, lambda status, _: status in (200, 404))


async def test_an_expression_means_the_whole_arn_and_nothing_beside_it(node: System) -> None:
    """Alternatives are not let loose, nothing is joined to them, and both rules must agree."""
    rules = {
        "either": {"permitted": f"{BASE}a|{BASE}b"},
        "wrapper": {"permitted": f"{BASE}a)|(?:.*"},
        "part": {"permitted": "a"},
        "both": {"permitted": ".*", "allowed_roles": '["b"]'},
        "every": {"permitted": ".*"},
    }
    asked = {
        "either": {"a": 200, "b": 200, "a-admin": 404, "xb": 404},
        "wrapper": {"a": 404},
        "part": {"a": 404},
        "both": {"b": 200, "a": 404},
        "every": {"a": 200},
    }
    pods = [(space, role) for space, roles in asked.items() for role in roles]
    sources = {each: f"127.7.9.{number}" for number, each in enumerate(pods, 1)}
    node.write(
        "rules",
        *(namespace(space, **rule) for space, rule in rules.items()),
        *(pod(role, sources[space, role], role, space=space) for space, role in pods),
    )
    await node.start()

    for space, role in pods:
        await node.until(LIST, sources[space, role], lambda status, _: status != 503)
        status, _ = await node.get(LIST, sources[space, role])
        assert status == asked[space][role], (space, role)
    remark = 'rolecall_remarks_total{reason="rule_permits_everything"} 2.0'
    assert remark in await measured(node)
    await node.until_served(NEIGHBOUR, "reader")


async def test_what_pods_choose_stays_their_own(node: System) -> None:
    """Strange external ids are denied, strange session names made harmless."""
    ids, names = writable(EXTERNAL_IDS), writable(SESSION_NAMES)
    documents = [
        pod(f"id-{number}", f"127.7.6.{number}", "r", external_id=text)
        for number, text in enumerate(ids, 1)
    ]
    documents += [
        pod(f"n-{number}", f"127.7.7.{number}", "r", session_name=text)
        for number, text in enumerate(names, 1)
    ]
    node.write("choosy", *documents)
    template = ("--session-name", "{name}")
    await node.start("--allow-pod-external-id", "--allow-pod-session-name", *template)
    await node.until_served(NEIGHBOUR, "reader")

    for number in range(1, len(ids) + 1):
        assert await node.get(LIST, f"127.7.6.{number}") == (404, ""), ids[number - 1][:50]
    for number in range(1, len(names) + 1):
        await node.until_served(f"127.7.7.{number}", "r")
    records = denied(node.running("server"))
    assert {record["reason"] for record in records.values()} == {"external_id_malformed"}
    issued = [each for each in node.running("server").records if each["event"] == "session_issued"]
    # STS would have refused any other; what was too long keeps apart from its like.
    assert len({record["session_name"] for record in issued}) >= len(names) - 2


async def test_other_tenants_external_ids_are_not_for_the_asking(node: System) -> None:
    """Where the operator does not let pods choose, one that is chosen is a denial."""
    source = "127.7.6.100"
    node.write("chosen", pod("chosen", source, "r", external_id="somebody-elses"))
    await node.start()
    await node.until_served(NEIGHBOUR, "reader")

    assert await node.get(LIST, source) == (404, "")
    assert denied(node.running("server"))["apps/chosen"]["reason"] == "external_id_forbidden"
    assert await node.calls() == {"reader": 1}


@pytest.mark.parametrize("form", ["json", "text"])
async def test_nothing_that_is_written_forges_a_line(node: System, form: str) -> None:
    """A role, a namespace's rule and a manifest, with newlines and escapes in them."""
    node.output = ("--log-format", form, "--log-level", "debug")
    node.write("forged", pod("forged", "127.7.6.101", FORGED, external_id=FORGED))
    node.write("space", namespace("forged", permitted=FORGED, allowed_roles=FORGED))
    node.write("asks", pod("asks", "127.7.6.102", "r", space="forged"))
    await node.start()
    await node.until_served(NEIGHBOUR, "reader")
    server = node.running("server")

    assert denied(server).keys() == {"apps/forged", "forged/asks"}
    lines = [*server.err, *server.out]
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert not [line for line in lines if line.startswith(('{"level"', "12:00:00"))]
    if form == "json":
        assert all(json.loads(line)["message"] != "forged" for line in server.err)


async def test_hostile_manifests_are_named_and_left_out(node: System) -> None:
    """File, line and reason in the log; everybody else is served, and changes still arrive."""
    for name, text in MANIFESTS.items():
        (node.manifests / f"{name}.yaml").write_text(text)
    (node.manifests / "large.yaml").write_text(f"# {MEGABYTE}\n" * 12)
    await node.start()
    await node.until_served(NEIGHBOUR, "reader")

    said = [json.loads(line) for line in node.running("server").err]
    problems = [line for line in said if "file" in line]
    # What is left out in silence: no object at all, and a pod that is bound to no node.
    expected = {*MANIFESTS, "large"} - {"scalar", "null-spec", "number"}
    assert {Path(line["file"]).stem for line in problems} >= expected
    assert all(line["line"] >= 1 and line["reason"] for line in problems)
    assert f"rolecall_manifest_problems {len(problems)}.0" in await measured(node)


async def test_a_manifest_that_breaks_keeps_what_it_said_before(node: System) -> None:
    """An edit that went wrong takes nobody's role away."""
    source = "127.7.6.103"
    node.write("edited", pod("edited", source, "edited"))
    await node.start()
    await node.until_served(NEIGHBOUR, "reader")
    held = await node.until_served(source, "edited")
    (node.manifests / "edited.yaml").write_text("kind: [Pod")
    await node.running("server").wait_line("part of a manifest is left out", "edited.yaml")

    assert await node.document(source, "edited") == held
    node.write("edited", pod("edited", source, "mended"))
    await node.until_served(source, "mended")
