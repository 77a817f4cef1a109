"""Whatever users write, the server lives on, names what it refuses, and serves their neighbours."""

import json
from pathlib import Path

from core.hostile import (
    EXTERNAL_IDS,
    INVALID_EXPRESSIONS,
    MEGABYTE,
    ROLES,
    SESSION_NAMES,
    SLOW_EXPRESSIONS,
    USELESS_LISTS,
)
from fakes.system import Running, namespace, pod, system

LIST = "/latest/meta-data/iam/security-credentials/"
NEIGHBOUR, LATER = "127.7.3.1", "127.7.3.2"
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


def writable(texts: tuple[str, ...]) -> list[str]:
    """Return those of *texts* that a file can hold."""
    return [text for text in texts if not any("\ud800" <= letter <= "\udfff" for letter in text)]


def audited(server: Running) -> list[dict[str, str]]:
    records = [json.loads(line) for line in server.out]
    return [record for record in records if record["event"] == "denied"]


async def test_hostile_annotations_are_refused_by_name(tmp_path: Path) -> None:
    """Each strange role is denied with its reason, once, on one line; STS never hears of it."""
    roles = writable(ROLES)
    async with system(tmp_path) as node:
        strange = [
            pod(f"strange-{number}", f"127.7.4.{number + 1}", role)
            for number, role in enumerate(roles)
        ]
        node.write("all", namespace(), pod("neighbour", NEIGHBOUR, "reader"), *strange)
        await node.start_sts()
        server = await node.start_server()
        await node.start_agent()

        await node.until(LIST, NEIGHBOUR, lambda status, body: (status, body) == (200, "reader"))
        for number in range(len(roles)):
            assert await node.get(LIST, f"127.7.4.{number + 1}") == (404, "")
        assert await node.calls() == {"reader": 1}
        _, metrics = await node.admin("server", "/metrics")
        denied = audited(server)

    malformed = f'rolecall_denials_total{{reason="role_malformed"}} {len(roles)}.0'
    assert malformed in metrics
    assert {record["pod"] for record in denied} == {each["metadata"]["name"] for each in strange}  # type: ignore[index]  # a manifest is a mapping of anything
    assert all(len(record["sentence"]) < 1000 for record in denied)
    assert all(json.loads(line) for line in server.err)


async def test_hostile_namespaces_permit_nothing_and_harm_nobody(tmp_path: Path) -> None:
    """A rule that cannot be read permits nothing in its namespace; others are as they were."""
    rules = [{"permitted": text} for text in writable(INVALID_EXPRESSIONS)]
    rules += [{"allowed_roles": text} for text in writable(USELESS_LISTS)]
    async with system(tmp_path) as node:
        documents = [namespace(), pod("neighbour", NEIGHBOUR, "reader")]
        for number, rule in enumerate(rules):
            documents.append(namespace(f"space-{number}", **rule))
            address = f"127.7.5.{number + 1}"
            documents.append(pod("asks", address, "a-b-admin", space=f"space-{number}"))
        for number, text in enumerate(SLOW_EXPRESSIONS):
            documents.append(namespace(f"slow-{number}", permitted=text))
            documents.append(pod("asks", f"127.7.8.{number + 1}", "a" * 60, f"slow-{number}"))
        node.write("all", *documents)
        await node.start_sts()
        await node.start_server()
        await node.start_agent()

        await node.until(LIST, NEIGHBOUR, lambda status, body: (status, body) == (200, "reader"))
        for number in range(len(rules)):
            assert await node.get(LIST, f"127.7.5.{number + 1}") == (404, ""), rules[number]
        # What takes others for ever is decided at once here, either way.
        for number in range(len(SLOW_EXPRESSIONS)):
            assert (await node.get(LIST, f"127.7.8.{number + 1}"))[0] in (200, 404)


async def test_what_pods_choose_stays_their_own(tmp_path: Path) -> None:
    """Strange external ids are denied, strange session names made harmless."""
    async with system(tmp_path) as node:
        documents = [namespace(), pod("neighbour", NEIGHBOUR, "reader")]
        ids, names = writable(EXTERNAL_IDS), writable(SESSION_NAMES)
        for number, text in enumerate(ids):
            documents.append(pod(f"id-{number}", f"127.7.6.{number + 1}", "r", external_id=text))
        for number, text in enumerate(names):
            documents.append(pod(f"n-{number}", f"127.7.7.{number + 1}", "r", session_name=text))
        node.write("all", *documents)
        await node.start_sts()
        await node.start_server("--allow-pod-external-id", "--allow-pod-session-name")
        await node.start_agent()

        await node.until(LIST, NEIGHBOUR, lambda status, body: (status, body) == (200, "reader"))
        for number in range(len(ids)):
            assert await node.get(LIST, f"127.7.6.{number + 1}") == (404, ""), ids[number][:50]
        for number in range(len(names)):
            source = f"127.7.7.{number + 1}"
            await node.until(LIST, source, lambda status, body: (status, body) == (200, "r"))


async def test_hostile_manifests_are_named_and_left_out(tmp_path: Path) -> None:
    """File, line and reason in the log; everybody else is served, and changes still arrive."""
    async with system(tmp_path) as node:
        for name, text in MANIFESTS.items():
            (node.manifests / f"{name}.yaml").write_text(text)
        (node.manifests / "large.yaml").write_text(f"# {MEGABYTE}\n" * 12)
        node.write("good", namespace(), pod("neighbour", NEIGHBOUR, "reader"))
        await node.start_sts()
        server = await node.start_server()
        await node.start_agent()

        await node.until(LIST, NEIGHBOUR, lambda status, body: (status, body) == (200, "reader"))
        node.write("later", pod("later", LATER, "writer"))
        await node.until(LIST, LATER, lambda status, body: (status, body) == (200, "writer"))
        said = [json.loads(line) for line in server.err]
        _, metrics = await node.admin("server", "/metrics")

    named = {Path(line["file"]).stem for line in said if "file" in line}
    expected = set(MANIFESTS) - {"scalar", "null-spec", "number"}
    assert named >= expected, expected - named
    assert all(line["line"] >= 1 and line["reason"] for line in said if "file" in line)
    assert "rolecall_manifest_problems 0.0" not in metrics
