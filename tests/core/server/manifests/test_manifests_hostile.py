"""Manifests that nobody should write: named and left out, and nothing else suffers."""

import json
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_server.manifests import documents
from rolecall_server.manifests.directory import Directory
from rolecall_server.manifests.files import File
from rolecall_server.manifests.placement import Pools
from rolecall_server.model.annotations import AnnotationKeys

GOOD = "kind: Pod\nmetadata: {name: good}"
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + step)}: &{chr(98 + step)} [{','.join(['*' + chr(97 + step)] * 10)}]\n"
    for step in range(9)
)
MERGES = "a: &a {k: v}\n" + "".join(
    f"{chr(98 + step)}: &{chr(98 + step)} {{<<: [{','.join(['*' + chr(97 + step)] * 10)}]}}\n"
    for step in range(9)
)
LONG_TEXTS = (
    f"a: &a [{'x' * 100_000}]\nb: &b [{','.join(['*a'] * 100)}]\nc: [{','.join(['*b'] * 9)}]"
)

FILES = {
    "half a list": "a: [",
    "deep": "[" * 100_000,
    "deep blocks": "- " * 5_000 + "x",
    "aliases that multiply": LAUGHS,
    "merges that multiply": MERGES,
    "long texts that multiply": LONG_TEXTS,
    "an alias inside itself": "a: &a [*a]",
    "an alias to nothing": "*x",
    "a tag that runs something": "!!python/object/apply:os.system [id]",
    "a tag that does not fit": "a: !!int ''",
    "a binary": "a: !!binary x",
    "a key that is a list": "{[a]: b}",
    "a key twice": "kind: Pod\nkind: Pod",
    "a number without end": "a: " + "9" * 5_000,
    "a control character": "a: \x00",
    "half a surrogate": "a: \ud800",
    "a directive": "%YAML 9.0\n---\na: b",
}
OBJECTS = {
    "no kind": {"metadata": {"name": "x"}},
    "no name": {"kind": "Pod"},
    "a name of another type": {"kind": "Pod", "metadata": {"name": 1}},
    "a name that Kubernetes refuses": {"kind": "Pod", "metadata": {"name": "../../etc"}},
    "metadata of another type": {"kind": "Pod", "metadata": ["x"]},
    "a text": "hello",
    "a number": 1,
    "annotations that are a list": {"kind": "Pod", "metadata": {"name": "x", "annotations": []}},
    "an annotation that is a number": {
        "kind": "Pod",
        "metadata": {"name": "x", "annotations": {"iam.amazonaws.com/role": 1}},
    },
    "no template": {"kind": "Deployment", "metadata": {"name": "x"}},
    "too many": {
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {"replicas": 10**9, "template": {}},
    },
    "fewer than none": {
        "kind": "StatefulSet",
        "metadata": {"name": "x"},
        "spec": {"replicas": -1, "template": {}},
    },
    "an address that is none": {
        "kind": "Pod",
        "metadata": {"name": "x"},
        "status": {"podIP": "1.2.3"},
    },
    "a namespace that is none": {"kind": "Namespace", "metadata": {"name": "A B"}},
    "a CronJob of nothing": {
        "kind": "CronJob",
        "metadata": {"name": "x"},
        "spec": {"jobTemplate": {"spec": None}},
    },
}


def cluster() -> Directory:
    return Directory(Pools([("one", ip_network("10.1.0.0/24"))]), AnnotationKeys())


@pytest.mark.parametrize("text", FILES.values(), ids=FILES.keys())
def test_a_strange_file_is_left_out(text: str) -> None:
    """It is named with a line and a short reason; its neighbour is read."""
    directory = cluster()
    directory.update({"bad.yaml": File(text), "good.yaml": File(GOOD)})

    (problem,) = directory.statistics.problems
    assert problem.file == "bad.yaml"
    assert problem.line >= 1
    assert 0 < len(problem.reason) <= 300
    assert problem.reason.isprintable()
    assert [pod.name for pod in directory.pods] == ["good"]


@pytest.mark.parametrize("value", OBJECTS.values(), ids=OBJECTS.keys())
def test_a_strange_object_is_left_out(value: object) -> None:
    """In a list with a good one, as JSON: one problem, one pod."""
    text = json.dumps(
        {"kind": "List", "items": [value, {"kind": "Pod", "metadata": {"name": "good"}}]}
    )
    directory = cluster()
    directory.update({"a.json": File(text)})

    assert len(directory.statistics.problems) == 1
    assert [pod.name for pod in directory.pods] == ["good"]


@pytest.mark.parametrize("is_json", [True, False])
def test_what_is_nested_deeper_than_any_object_is_left_out(is_json: bool) -> None:  # noqa: FBT001
    """Whoever reads it next may call itself for each level, as a copy does."""
    deepest = documents.DEEPEST * "[" + documents.DEEPEST * "]"
    assert len(documents.read(deepest, is_json=is_json)) == 1

    for levels in (documents.DEEPEST, 600, 100_000):
        with pytest.raises(documents.DocumentError, match=r"deep|depth"):
            documents.read(levels * '{"a":' + "[]" + levels * "}", is_json=is_json)


def test_yaml_is_read_as_kubernetes_reads_it() -> None:
    """No dates, no base 60; `yes` is true; a key may be merged."""
    text = "{d: 2020-01-01, t: 22:22, y: yes, n: ~, o: 017, m: {<<: {a: 1}, b: !!str 2}}"

    (document,) = documents.read(text)
    assert document.value == {
        "d": "2020-01-01", "t": "22:22", "y": True, "n": None, "o": 15, "m": {"a": 1, "b": "2"},
    }  # fmt: skip


@given(st.text(alphabet="ab:-[]{}&*!|>%@#\"'\\ \n\t,?~<0.x", max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever a file holds, reading it raises nothing."""
    cluster().update({"a.yaml": File(text), "a.json": File(text)})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["metadata", "spec", "template", "items", "name", "annotations", "status"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(["Pod", "Deployment", "CronJob", "Job", "Namespace", "List", "DaemonSet"]),
    st.sampled_from([{"name": "a"}, {"name": "b", "namespace": None}, {}]),
    st.dictionaries(st.sampled_from(["spec", "status", "items", "metadata"]), VALUES),
)
@settings(deadline=None, max_examples=300)
def test_any_object_is_read_or_refused(
    kind: str, metadata: dict[str, object], more: dict[str, object]
) -> None:
    """Whatever an object holds, reading it raises nothing and a good neighbour is there."""
    text = json.dumps({"kind": kind, "metadata": metadata, **more})
    directory = cluster()
    directory.update({"a.json": File(text), "good.yaml": File(GOOD)})

    assert "good" in [pod.name for pod in directory.pods]
