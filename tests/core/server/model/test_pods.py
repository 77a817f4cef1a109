"""Pods and namespaces: what is read of an object that anyone may have written."""

import gc
import sys
from ipaddress import ip_address
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import hostile
from rolecall_server.model import kube_objects
from rolecall_server.model.annotations import AnnotationKeys, Wish
from rolecall_server.model.pods import Namespace, ObjectUnusable, Pod

KEYS = AnnotationKeys()
ROLE = "iam.amazonaws.com/role"


def manifest(**changes: dict[str, Any]) -> dict[str, Any]:
    """Return a plain pod, bound and running, with *changes* to its parts."""
    whole: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "11-22"},
        "spec": {"nodeName": "node-a", "serviceAccountName": "web", "containers": [{}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]},
    }
    for part, values in changes.items():
        whole[part] = {**whole[part], **values}
    return whole


def read(keys: AnnotationKeys = KEYS, **changes: dict[str, Any]) -> Pod | ObjectUnusable:
    """Parse a pod as a manifest source does."""
    return Pod.parse(msgspec.convert(manifest(**changes), kube_objects.Pod), keys)


def pod(keys: AnnotationKeys = KEYS, **changes: dict[str, Any]) -> Pod:
    """Parse a pod that is usable."""
    parsed = read(keys, **changes)
    assert isinstance(parsed, Pod)
    return parsed


def wish(keys: AnnotationKeys = KEYS, /, **annotations: str) -> Wish | None:
    """Parse a pod with *annotations* below the usual prefix."""
    notes = {
        f"iam.amazonaws.com/{key.replace('_', '-')}": text for key, text in annotations.items()
    }
    return pod(keys, metadata={"annotations": notes}).wish


def namespace(**notes: str) -> Namespace:
    """Parse a namespace with annotations below the usual prefix."""
    annotations = {
        f"iam.amazonaws.com/{key.replace('_', '-')}": text for key, text in notes.items()
    }
    given = {"metadata": {"name": "shop", "uid": "9", "annotations": annotations}}
    parsed = Namespace.parse(msgspec.convert(given, kube_objects.Namespace), KEYS)
    assert isinstance(parsed, Namespace)
    return parsed


def test_a_pod_is_read_from_the_bytes_of_an_api_server() -> None:
    """Only what is kept is decoded; unknown fields are skipped."""
    raw = msgspec.json.encode(manifest(metadata={"annotations": {ROLE: "reader"}}))
    parsed = Pod.parse(msgspec.json.decode(raw, type=kube_objects.Pod), KEYS)

    assert parsed == Pod(
        uid="11-22",
        namespace="shop",
        name="web-1",
        service_account="web",
        node="node-a",
        addresses=(ip_address("10.0.0.1"),),
        wish=Wish(role="reader"),
    )


def test_nulls_are_as_good_as_absent() -> None:
    """An API server writes null where a list or a map is empty."""
    parsed = pod(
        metadata={"annotations": None, "labels": None, "ownerReferences": None},
        spec={"serviceAccountName": None, "nodeName": None, "hostNetwork": None},
        status={"phase": None, "podIP": None, "podIPs": None},
    )

    assert (parsed.wish, parsed.node, parsed.addresses) == (None, None, ())
    assert parsed.service_account == "default"


@pytest.mark.parametrize("part", ["metadata", "spec", "status"])
def test_a_pod_without_one_of_its_parts_is_read_or_refused(part: str) -> None:
    """Without metadata there is nothing to know it by; the rest may come later."""
    whole = manifest()
    del whole[part]
    parsed = Pod.parse(msgspec.convert(whole, kube_objects.Pod), KEYS)

    assert isinstance(parsed, ObjectUnusable) == (part == "metadata")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_is_told_apart(phase: str) -> None:
    """Its address may be another pod's by now."""
    assert pod(status={"phase": phase}).finished
    assert not pod(status={"phase": "Running"}).finished


def test_addresses_of_both_families_are_read() -> None:
    """In the order that the pod has them, each once, and `::ffff:a.b.c.d` is a.b.c.d."""
    given = [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}, {"ip": "::ffff:10.0.0.1"}, {"ip": ""}, {}]

    assert pod(status={"podIPs": given}).addresses == (
        ip_address("10.0.0.1"),
        ip_address("fd00::1"),
    )


def test_the_single_address_counts_where_there_is_no_list() -> None:
    """As old API servers and short manifests write it."""
    assert pod(status={"podIPs": None, "podIP": "10.9.9.9"}).addresses == (ip_address("10.9.9.9"),)


@pytest.mark.parametrize(
    "text",
    ["010.0.0.1", " 10.0.0.1", "10.0.0.1\n", "0x0a000001", "10.0.0.1/32", "fe80::1%eth0", "node-a"],
)
def test_an_odd_address_sets_the_pod_aside(text: str) -> None:
    """Nobody is served by an address that two readers may read differently."""
    parsed = read(status={"podIPs": [{"ip": text}]})

    assert isinstance(parsed, ObjectUnusable)
    assert (parsed.kind, parsed.key) == ("Pod", "11-22")
    assert "shop/web-1" in parsed.reason


@pytest.mark.parametrize(
    "metadata",
    [
        {"annotations": {"kubernetes.io/config.mirror": "abc"}},
        {"annotations": {"kubernetes.io/config.mirror": ""}},
        {"ownerReferences": [{"kind": "ReplicaSet"}, {"kind": "Node", "name": "node-a"}]},
    ],
)
def test_a_mirror_pod_is_known_by_its_annotation_or_its_owner(metadata: dict[str, Any]) -> None:
    """A node wrote it; either sign is enough."""
    assert pod(metadata=metadata).mirror
    assert not pod().mirror


@pytest.mark.parametrize(
    "metadata",
    [
        {"uid": ""},
        {"uid": None},
        {"uid": "a\nb"},
        {"uid": "x" * 129},
        {"name": ""},
        {"name": "Web"},
        {"name": hostile.ESCAPES},
        {"name": hostile.MEGABYTE},
        {"namespace": None},
        {"namespace": "../kube-system"},
        {"namespace": "shop\n"},
    ],
)
def test_names_that_kubernetes_would_refuse_set_the_pod_aside(metadata: dict[str, Any]) -> None:
    """And the reason is one short printable line."""
    parsed = read(metadata=metadata)

    assert isinstance(parsed, ObjectUnusable)
    assert parsed.reason.isprintable()
    assert parsed.key.isprintable()
    assert len(parsed.reason) < 500


def test_a_pod_that_asks_for_nothing_has_no_wish() -> None:
    """Whatever else is annotated."""
    assert pod(metadata={"annotations": {"team": "a"}, "labels": {"app": "b"}}).wish is None


def test_blanks_around_a_role_are_trimmed_and_line_ends_are_not() -> None:
    """A line end is no blank: such a role is malformed later."""
    assert wish(role="  reader \t") == Wish(role="reader")
    assert wish(role="reader\n") == Wish(role="reader\n")


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_role_is_an_explicit_none(text: str) -> None:
    """It is kept, because it shuts out the default role."""
    assert wish(role=text) == Wish(role="")


def test_empty_external_ids_and_session_names_are_none() -> None:
    """As both predecessors have it."""
    assert wish(external_id="", session_name="") is None


def test_of_several_keys_the_first_that_is_filled_wins() -> None:
    """An empty one does not hide a filled one behind it."""
    keys = AnnotationKeys(role=("new/role", ROLE))

    def role(**notes: str) -> str | None:
        found = pod(
            keys, metadata={"annotations": {k.replace("_", "/"): v for k, v in notes.items()}}
        )
        return found.wish.role if found.wish else None

    assert role(new_role="a", **{ROLE: "b"}) == "a"
    assert role(new_role="", **{ROLE: "b"}) == "b"
    assert role(new_role="", **{ROLE: ""}) == ""
    assert role(other="a") is None


def test_only_allowed_session_tags_are_kept() -> None:
    """The others are counted, so that somebody can be told."""
    keys = AnnotationKeys(pod_tags=frozenset({"team", "stage"}))
    notes = {f"iam.amazonaws.com/session-tag.{key}": key.upper() for key in ("team", "x", "stage")}
    found = pod(keys, metadata={"annotations": notes}).wish

    assert found == Wish(tags=(("stage", "STAGE"), ("team", "TEAM")), refused_tags=1)


def test_labels_are_kept_where_the_operator_wants_them() -> None:
    """And no other label."""
    keys = AnnotationKeys(labels=("app", "missing"))

    found = pod(keys, metadata={"labels": {"app": "web", "team": "a"}}).wish

    assert found == Wish(labels=(("app", "web"),))


def test_a_megabyte_of_annotation_is_not_kept() -> None:
    """What no checker would accept is cut, and is still too long to be accepted."""
    found = wish(role=hostile.MEGABYTE, external_id=hostile.MEGABYTE)

    assert found is not None
    assert found.role is not None
    assert found.external_id is not None
    assert 1224 < len(found.external_id) <= 2048
    assert len(found.role) <= 2048


def test_a_namespace_tells_missing_from_empty() -> None:
    """Missing says nothing; empty permits nothing."""
    assert namespace() == Namespace(name="shop", uid="9")
    assert namespace(permitted="", allowed_roles=" ") == Namespace(
        name="shop", uid="9", permitted="", allowed_roles=""
    )
    assert namespace(permitted=".*", default_role="reader") == Namespace(
        name="shop", uid="9", permitted=".*", default_role="reader"
    )


@pytest.mark.parametrize(
    ("text", "required"),
    [("", False), ("optional", False), ("required", True), ("true", True), ("requierd", True)],
)
def test_a_namespace_may_require_tokens(text: str, *, required: bool) -> None:
    """Whatever was written to close something closes it, misspelt or not."""
    assert namespace(imdsv2=text).imdsv2_required is required


def test_a_namespace_on_its_way_out_is_marked() -> None:
    """By its phase or by its time of deletion."""
    for extra in (
        {"status": {"phase": "Terminating"}},
        {"metadata": {"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
    ):
        given = msgspec.convert({"metadata": {"name": "shop"}, **extra}, kube_objects.Namespace)
        parsed = Namespace.parse(given, KEYS)
        assert isinstance(parsed, Namespace)
        assert parsed.terminating


def test_a_namespace_without_a_name_is_unusable() -> None:
    """There is nothing to know it by."""
    assert isinstance(Namespace.parse(kube_objects.Namespace(), KEYS), ObjectUnusable)


def test_pods_of_one_deployment_share_their_texts() -> None:
    """Namespace, node and service account are kept once, however many pods have them."""
    one, other = pod(), pod(metadata={"name": "web-2", "uid": "33"})

    assert one.namespace is other.namespace
    assert one.node is other.node
    assert one.service_account is other.service_account


def test_a_pod_without_a_role_is_small() -> None:
    """At most 600 bytes each, so that the server keeps it in 1 KiB with all that goes with it."""
    raw = [
        msgspec.json.encode(
            manifest(
                metadata={
                    "name": f"web-7d4b9c6f5-{n:05d}",
                    "uid": f"{n:08d}-1111-2222-3333-444455556666",
                },
                status={"podIPs": [{"ip": f"10.1.{n // 250}.{n % 250}"}]},
            )
        )
        for n in range(1000)
    ]
    pods = [Pod.parse(msgspec.json.decode(each, type=kube_objects.Pod), KEYS) for each in raw]

    assert _own_bytes(pods) / len(pods) <= 600


def _own_bytes(pods: list[Any]) -> int:
    """Return the bytes of everything reachable from *pods*, shared things counted once."""
    seen: dict[int, Any] = {}
    todo = list(pods)
    while todo:
        thing = todo.pop()
        if id(thing) not in seen and not isinstance(thing, type):
            seen[id(thing)] = thing
            todo.extend(gc.get_referents(thing))
    return sum(sys.getsizeof(thing) for thing in seen.values())


@pytest.mark.parametrize("annotations", hostile.ANNOTATIONS)
def test_hostile_annotations_are_read_without_a_fault(annotations: dict[str, str]) -> None:
    """On a pod as on a namespace, they become a value like any other."""
    metadata = kube_objects.Metadata(
        name="web-1", namespace="shop", uid="1", annotations=dict(annotations)
    )
    keys = AnnotationKeys(pod_tags=frozenset({"team"}))

    assert isinstance(Pod.parse(kube_objects.Pod(metadata=metadata), keys), Pod)
    assert isinstance(Namespace.parse(kube_objects.Namespace(metadata=metadata), keys), Namespace)


TEXT = st.text(max_size=20) | st.sampled_from(["web-1", "10.0.0.1", "Node", "", ROLE]) | st.none()
NOTES = st.none() | st.dictionaries(
    st.text(max_size=5) | st.sampled_from([ROLE, "iam.amazonaws.com/session-tag.a"]),
    TEXT,
    max_size=3,
)


@given(
    metadata=st.builds(
        kube_objects.Metadata,
        name=TEXT,
        namespace=TEXT,
        uid=TEXT,
        annotations=NOTES,
        labels=NOTES,
        owner_references=st.none()
        | st.lists(st.builds(kube_objects.OwnerReference, TEXT), max_size=2),
    ),
    spec=st.none() | st.builds(kube_objects.PodSpec, TEXT, st.none() | st.booleans(), TEXT, TEXT),
    status=st.none()
    | st.builds(
        kube_objects.PodStatus,
        TEXT,
        TEXT,
        st.none() | st.lists(st.builds(kube_objects.PodIP, TEXT), max_size=3),
    ),
)
def test_whatever_an_object_says_parsing_returns(
    metadata: kube_objects.Metadata,
    spec: kube_objects.PodSpec | None,
    status: kube_objects.PodStatus | None,
) -> None:
    """A pod and a namespace are read or set aside; nothing is raised."""
    parsed = Pod.parse(kube_objects.Pod(metadata, spec, status), KEYS)
    also = Namespace.parse(kube_objects.Namespace(metadata), KEYS)

    assert isinstance(parsed, Pod | ObjectUnusable)
    assert isinstance(also, Namespace | ObjectUnusable)
    for each in (parsed, also):
        if isinstance(each, ObjectUnusable):
            assert each.reason.isprintable()
