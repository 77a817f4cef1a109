"""What an API server sends is read totally: one odd object costs nobody else anything."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_server.kube.api import ApiError, ExpiredError, RejectedError, UnavailableError
from rolecall_server.kube.informer.decoder import Bookmark, Deleted, Present
from rolecall_server.kube.informer.resources import namespaces, pods
from rolecall_server.model import kube_objects
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.pods import Namespace, ObjectUnusable, Pod

PODS = pods(AnnotationKeys())
NAMESPACES = namespaces(AnnotationKeys())


def pod(name: str, **spec: object) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team", "uid": f"u-{name}", "resourceVersion": "7"}
    return {"metadata": metadata, "spec": {"nodeName": "node-a", **spec}}


def event(kind: str, thing: object) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode()


def page(*items: object, **metadata: str) -> bytes:
    return json.dumps(
        {"kind": "PodList", "metadata": {"resourceVersion": "9", **metadata}, "items": items}
    ).encode()


def test_a_page_holds_its_objects_and_where_the_next_one_is() -> None:
    """The token of the next page and the version of the whole come with it."""
    read = PODS.decoder.page(page(pod("a"), pod("b"), **{"continue": "more"}))

    assert [each.name for each in read.objects if isinstance(each, Pod)] == ["a", "b"]
    assert (read.next, read.resource_version) == ("more", "9")
    assert PODS.decoder.page(page()).next is None


def test_one_odd_object_of_a_page_is_left_out_by_name() -> None:
    """A field of a type that Kubernetes would never send does not take the page with it."""
    read = PODS.decoder.page(page(pod("a"), pod("odd", hostNetwork="perhaps"), pod("b")))

    first, odd, second = read.objects
    assert isinstance(first, Pod)
    assert isinstance(second, Pod)
    assert isinstance(odd, ObjectUnusable)
    assert (odd.kind, odd.key) == ("Pod", "u-odd")
    assert "team/odd" in odd.reason
    assert "hostNetwork" in odd.reason


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"kind":"PodList","items":[]}',
        b'{"kind":"PodList","metadata":{"resourceVersion":""},"items":[]}',
        b'{"metadata":{"resourceVersion":"9"},"items":[]}',
        b'{"kind":"Status","metadata":{"resourceVersion":"9"}}',
        b'{"kind":5,"metadata":{"resourceVersion":"9"}}',
        b'{"metadata":{"resourceVersion":"9"},"items":[5]}',
    ],
)
def test_an_object_that_is_no_list_is_not_an_empty_one(body: bytes) -> None:
    """A proxy's own JSON would take every pod's credentials away."""
    with pytest.raises(UnavailableError):
        PODS.decoder.page(body)


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED"])
def test_an_object_is_told_with_its_version(kind: str) -> None:
    """From there the watch goes on after an interruption."""
    told = PODS.decoder.event(event(kind, pod("a")))

    assert isinstance(told, Present)
    assert isinstance(told.object, Pod)
    assert told.resource_version == "7"


def test_an_odd_object_of_a_watch_is_named_and_its_version_kept() -> None:
    """Else the watch would come upon it again and again."""
    told = PODS.decoder.event(event("MODIFIED", pod("odd", nodeName=5)))

    assert isinstance(told, Present)
    assert isinstance(told.object, ObjectUnusable)
    assert told.object.key == "u-odd"
    assert told.resource_version == "7"


@pytest.mark.parametrize("spec", [{}, {"nodeName": 5}])
def test_a_deletion_is_known_by_the_uid_whatever_else_is_odd(spec: dict[str, Any]) -> None:
    """What is gone need not be readable."""
    assert PODS.decoder.event(event("DELETED", pod("a", **spec))) == Deleted("u-a", "7")


def test_a_namespace_is_known_by_its_name() -> None:
    """Two of one name are the same rule for the pods in it."""
    metadata = {"name": "team", "uid": "u", "resourceVersion": "3"}

    told = NAMESPACES.decoder.event(event("ADDED", {"metadata": metadata}))
    gone = NAMESPACES.decoder.event(event("DELETED", {"metadata": metadata}))

    assert isinstance(told, Present)
    assert told.object == Namespace("team", "u")
    assert gone == Deleted("team", "3")


def test_a_bookmark_says_how_far_and_whether_everything_was_told() -> None:
    """The end of the first events is a bookmark with an annotation."""
    notes = {"annotations": {"k8s.io/initial-events-end": "true"}}
    plain = PODS.decoder.event(event("BOOKMARK", {"metadata": {"resourceVersion": "8"}}))
    end = PODS.decoder.event(event("BOOKMARK", {"metadata": {"resourceVersion": "8", **notes}}))

    assert plain == Bookmark("8", initial_end=False)
    assert end == Bookmark("8", initial_end=True)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ({"code": 410, "message": "too old"}, ExpiredError),
        ({"code": 403, "message": "no"}, RejectedError),
        ({"code": 500}, UnavailableError),
        ({"code": 429}, UnavailableError),
        ({}, UnavailableError),
        ({"code": "410"}, UnavailableError),
        (17, UnavailableError),
    ],
)
def test_an_error_in_the_stream_is_the_error_that_its_status_would_be(
    status: object, error: type[ApiError]
) -> None:
    """A watch from too long ago is answered 200, and then with an event."""
    with pytest.raises(error):
        PODS.decoder.event(event("ERROR", status))


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"{", b"null", b"[]", b'{"type":"ADDED"}', b'{"object":{}}', b"\xff\xfe", b'"x"'),
        *(b'{"type":"\xff","object":{}}', b'{"type":"ADDED","object":{"metadata":{"uid":"\xff"}}}'),
        *(b"[" * 100_000, b'{"type":"ADDED","object":' + b'{"a":' * 100_000),
    ],
)
def test_a_line_that_is_no_event_breaks_the_watch_and_nothing_else(line: bytes) -> None:
    """Whoever sends that is no API server: ask again."""
    with pytest.raises(UnavailableError):
        PODS.decoder.event(line)
    with pytest.raises(UnavailableError):
        PODS.decoder.page(b"[" + line)


def test_an_unknown_kind_of_event_is_passed_over() -> None:
    """A newer API server may have one."""
    assert PODS.decoder.event(event("REORDERED", pod("a"))) is None
    assert PODS.decoder.event(event("REORDERED", pod("a", nodeName=1))) is None


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
_fields = st.sampled_from(
    ["metadata", "spec", "status", "name", "namespace", "uid", "nodeName", "annotations", "podIPs"]
)
_objects = st.dictionaries(_fields, st.dictionaries(_fields, _json, max_size=5) | _json, max_size=4)


@given(_objects, st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]))
def test_no_object_raises_anything(thing: object, kind: str) -> None:
    """Nothing that an object says leaves the reader as an exception."""
    for of in (PODS, NAMESPACES):
        of.decoder.event(event(kind, thing))
        of.decoder.page(page(thing))
        of.decoder.object(json.dumps(thing).encode())


def test_half_a_million_annotations_cost_no_more_than_their_length() -> None:
    """An object is at most some megabytes; it is read once."""
    heavy = pod("heavy")
    heavy["metadata"]["annotations"] = {f"note-{n}": "x" * 10 for n in range(50_000)}

    told = PODS.decoder.event(event("ADDED", heavy))

    assert isinstance(told, Present)
    assert isinstance(told.object, Pod)


def test_what_is_not_read_is_not_kept() -> None:
    """Environment variables of pods, secrets perhaps, go no further than the bytes."""
    secretive = pod("a", containers=[{"env": [{"name": "TOKEN", "value": "hush"}]}])

    assert "hush" not in repr(PODS.decoder.event(event("ADDED", secretive)))
    assert not hasattr(kube_objects.PodSpec(), "containers")
