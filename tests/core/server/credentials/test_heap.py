"""The heap beneath the queue, against a list that is sorted each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_server.credentials.heap import KeyedHeap

KEYS = st.integers(0, 9)


def test_the_first_is_what_has_the_least_order() -> None:
    """Keys come out by their order, not as they went in."""
    heap: KeyedHeap[str, int] = KeyedHeap()
    heap.put("later", 2)
    heap.put("sooner", 1)

    assert heap.first() == (1, "sooner")
    assert [heap.pop(), heap.pop()] == ["sooner", "later"]


def test_equals_come_out_as_they_went_in() -> None:
    """Two keys of one order are served by age."""
    heap: KeyedHeap[str, int] = KeyedHeap()
    for key in ("a", "c", "b"):
        heap.put(key, 1)

    assert [heap.pop() for _ in range(3)] == ["a", "c", "b"]


def test_an_empty_heap_has_nothing_to_pop() -> None:
    """Whoever pops asks first."""
    heap: KeyedHeap[str, int] = KeyedHeap()

    assert heap.first() is None
    with pytest.raises(IndexError):
        heap.pop()


@given(st.lists(st.tuples(KEYS, st.one_of(st.none(), st.integers(0, 50))), max_size=400))
def test_moved_and_dropped_keys_leave_no_trace(steps: list[tuple[int, int | None]]) -> None:
    """Whatever was put, moved and dropped: what comes out is what a sorted list would give."""
    heap: KeyedHeap[int, int] = KeyedHeap()
    model: dict[int, tuple[int, int]] = {}
    for count, (key, order) in enumerate(steps):
        if order is None:
            heap.drop(key)
            model.pop(key, None)
        else:
            heap.put(key, order)
            model[key] = (order, count)

    assert len(heap) == len(model)
    assert [heap.pop() for _ in range(len(heap))] == sorted(model, key=lambda k: model[k])
