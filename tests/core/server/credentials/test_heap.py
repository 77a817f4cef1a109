"""The heap beneath the schedule, against a list that is sorted each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_server.credentials.heap import Agenda

KEYS = st.integers(0, 9)


def test_the_first_is_what_has_the_least_order() -> None:
    """Keys come out by their order, not as they went in."""
    agenda: Agenda[str, int] = Agenda()
    agenda.put("later", 2)
    agenda.put("sooner", 1)

    assert agenda.first() == (1, "sooner")
    assert [agenda.pop(), agenda.pop()] == ["sooner", "later"]


def test_equals_come_out_as_they_went_in() -> None:
    """Two keys of one order are served by age."""
    agenda: Agenda[str, int] = Agenda()
    for key in ("a", "c", "b"):
        agenda.put(key, 1)

    assert [agenda.pop() for _ in range(3)] == ["a", "c", "b"]


def test_an_empty_agenda_has_nothing_to_pop() -> None:
    """Whoever pops asks first."""
    agenda: Agenda[str, int] = Agenda()

    assert agenda.first() is None
    with pytest.raises(IndexError):
        agenda.pop()


@given(st.lists(st.tuples(KEYS, st.one_of(st.none(), st.integers(0, 50))), max_size=400))
def test_moved_and_dropped_keys_leave_no_trace(steps: list[tuple[int, int | None]]) -> None:
    """Whatever was put, moved and dropped: what comes out is what a sorted list would give."""
    agenda: Agenda[int, int] = Agenda()
    model: dict[int, tuple[int, int]] = {}
    for count, (key, order) in enumerate(steps):
        if order is None:
            agenda.drop(key)
            model.pop(key, None)
        else:
            agenda.put(key, order)
            model[key] = (order, count)

    assert len(agenda) == len(model)
    assert [agenda.pop() for _ in range(len(agenda))] == sorted(model, key=lambda k: model[k])
