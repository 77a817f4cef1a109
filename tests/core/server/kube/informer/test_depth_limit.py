"""Objects nested deeper than a decoder can go: cut off where nothing is read, and served."""

import contextlib
import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.junk import documents
from core.server.kube.informer.test_decoder import PODS, event, page, pod
from rolecall_server.kube.api import ExpiredError
from rolecall_server.kube.informer.decoder import Deleted, Present
from rolecall_server.kube.informer.depth_limit import DEEPEST, limit_depth
from rolecall_server.model import kube_objects
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.pods import ObjectUnusable, Pod


def deep(levels: int) -> str:
    """Return a field as managedFields may have it, *levels* deep."""
    return '{"f:a":' * levels + "{}" + "}" * levels


def deepened(text: bytes, levels: int = 9_900) -> bytes:
    """Return *text* with such a field in the place of each "DEEP" in it."""
    return text.replace(b'"DEEP"', deep(levels).encode())


@pytest.mark.parametrize("levels", [100, 1_200, 9_900])
def test_an_object_is_served_however_deep_it_is_where_it_is_not_read(levels: int) -> None:
    """An API server takes 10,000 levels of whoever may change a pod; all else is read as ever."""
    nested = pod("nested")
    nested["metadata"] |= {"managedFields": [{"fieldsV1": "DEEP"}]}
    nested["metadata"] |= {"annotations": {"iam.amazonaws.com/role": 'reader]}"'}}
    odd = {**nested, "spec": {"nodeName": 5}}
    plain = pod("nested")
    plain["metadata"] |= {"annotations": {"iam.amazonaws.com/role": 'reader]}"'}}
    served = Pod.parse(msgspec.convert(plain, kube_objects.Pod), AnnotationKeys())

    changed = PODS.decoder.event(deepened(event("MODIFIED", nested), levels))
    gone = PODS.decoder.event(deepened(event("DELETED", odd), levels))
    broken = PODS.decoder.event(deepened(event("ADDED", odd), levels))
    read = PODS.decoder.page(deepened(page(pod("a"), nested, pod("b")), levels))
    mixed = PODS.decoder.page(deepened(page(odd, nested), levels))

    assert changed == Present(served, "7")
    assert gone == Deleted("u-nested", "7")
    assert isinstance(broken, Present)
    assert isinstance(broken.object, ObjectUnusable)
    assert (broken.object.key, broken.resource_version) == ("u-nested", "7")
    assert [each.name for each in read.objects if isinstance(each, Pod)] == ["a", "nested", "b"]
    assert mixed.objects == (broken.object, served)
    assert PODS.decoder.object(deepened(json.dumps(nested).encode(), levels)) == served
    with pytest.raises(ExpiredError):
        PODS.decoder.event(deepened(event("ERROR", {"code": 410, "details": "DEEP"}), levels))


@pytest.mark.parametrize("field", ["name", "annotations", "spec", "labels", "uid"])
def test_a_field_that_is_read_and_is_too_deep_is_odd_like_any_other(field: str) -> None:
    """No API server would send that; the others of the list are served."""
    odd = pod("odd")
    odd["metadata"][field] = odd[field] = "DEEP"

    read = PODS.decoder.page(deepened(page(odd, pod("a"))))

    assert [isinstance(each, Pod) for each in read.objects] == [field == "spec", True]


_nested = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('a"\\[]{}é'), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.sampled_from('"\\[{'), max_size=2), inner, max_size=3)
    ),
    max_leaves=9,
)
_around = st.lists(st.sampled_from([("[", "]"), ('{"a":', "}"), ('["[",', ',"]"]')]), max_size=90)


@given(st.lists(st.tuples(_nested, _around), max_size=4))
def test_any_json_is_json_still_where_what_is_too_deep_is_cut_off(
    parts: list[tuple[object, list[tuple[str, str]]]],
) -> None:
    """And the same as before where nothing is."""
    texts = []
    for value, around in parts:
        before, after = "".join(one for one, _ in around), "".join(two for _, two in around[::-1])
        texts.append(f"{before}{json.dumps(value)}{after}")
    whole = json.loads(f"[{','.join(texts)}]")

    cut = json.loads(limit_depth(json.dumps(whole).encode()))

    assert cut == cut_off(whole)


def cut_off(value: object, level: int = 0) -> object:
    """Say by a walk what is to be left of *value*."""
    if isinstance(value, list | dict) and level == DEEPEST:
        return None
    if isinstance(value, list):
        return [cut_off(each, level + 1) for each in value]
    if isinstance(value, dict):
        return {key: cut_off(each, level + 1) for key, each in value.items()}
    return value


@given(documents(["metadata", "items", "object"]) | st.binary())
@example(b"[" * 100_000)
@example(b'{"a":' * 100 + b'"[[\\')
@example(b'"' + b'\\"' * 100_000)
def test_any_bytes_are_less_deep_than_a_decoder_can_go(text: bytes) -> None:
    """Whether they are JSON or not; each byte is looked at once."""
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
        msgspec.json.decode(limit_depth(text))
