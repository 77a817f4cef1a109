"""Each cause is an Event once, and its repeats are a series."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.server.kube.events.rig import Rig, cause
from fakes.clock import START
from rolecall_server.kube.events.event_object import (
    Cause,
    Series,
    new_event,
)
from rolecall_server.kube.events.series import REFRESH
from rolecall_server.telemetry.event_reasons import Dropped, EventReason

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def test_the_first_is_an_event_and_a_repeat_makes_it_a_series() -> None:
    """As client-go does it: the first has no series, the second makes the count two."""
    rig = Rig()
    rig.see(cause())
    first = rig.write()
    rig.now += MINUTE
    rig.see(cause())

    assert first == [("web", 1, True)]
    assert rig.write() == [("web", 2, False)]


def test_what_repeats_while_it_waits_is_one_event() -> None:
    """The count is told at once."""
    rig = Rig()
    rig.see(cause(), cause(), cause())

    assert rig.write() == [("web", 3, True)]
    assert new_event(Series(cause(), START, START + SECOND, 3), "")["series"] == {
        "count": 3,
        "lastObservedTime": "2030-01-01T00:00:01.000000Z",
    }


def test_a_series_is_written_again_at_most_every_few_minutes() -> None:
    """A pod that flaps is not a call every second, and its count is told all the same."""
    rig = Rig()
    for _ in range(600):
        rig.see(cause())
        rig.write()
        rig.now += SECOND
    rig.write_for(REFRESH)

    assert rig.written == [
        ("web", 1, True),
        ("web", 2, False),
        ("web", 302, False),
        ("web", 600, False),
    ]


def test_another_pod_reason_or_note_is_another_event() -> None:
    """A pod whose annotation was mended in vain is told so."""
    rig = Rig()
    rig.see(cause())
    rig.write()
    rig.see(cause("db"), cause(note="still no"), cause(reason=EventReason.ROLE_NOT_ASSUMABLE))

    assert sorted(rig.write()) == [("db", 1, True), ("web", 1, True), ("web", 1, True)]


def test_of_one_pod_the_newest_cause_is_written() -> None:
    """What was so before anybody could write is not so any more."""
    rig = Rig()
    rig.see(cause(note="first"), cause(note="second"))
    write = rig.take()

    assert write.series.cause.note == "second"
    assert rig.dropped == {Dropped.SUPERSEDED: 1}
    assert rig.series.waiting == 0


def test_an_event_that_is_there_already_is_gone_on_with() -> None:
    """Another replica has said it, or this one before it was started anew."""
    rig = Rig()
    rig.see(cause())
    rig.series.already_exists(rig.take())

    assert rig.write() == [("web", 2, False)]


def test_an_event_that_has_expired_is_begun_anew() -> None:
    """The API server keeps Events for an hour; the new one counts from one."""
    rig = Rig()
    rig.see(cause())
    rig.write()
    rig.now += 2 * HOUR
    rig.see(cause())
    rig.series.not_found(rig.take())

    write = rig.take()
    assert (write.count, write.series.exists, write.series.since) == (1, False, rig.now)


def test_an_event_that_is_and_is_not_there_is_given_up() -> None:
    """An API server that contradicts itself is not asked for ever."""
    rig = Rig()
    rig.see(cause())
    for _ in range(10):
        if (write := rig.series.take(rig.now)) is None:
            break
        (rig.series.not_found if write.series.exists else rig.series.already_exists)(write)

    assert rig.series.waiting == 0
    assert rig.dropped == {Dropped.REJECTED: 1}


def test_what_nobody_answered_for_is_written_again() -> None:
    """Nothing is lost by an outage, not even a repeat that was seen in it."""
    rig = Rig()
    rig.see(cause())
    write = rig.take()
    rig.see(cause())
    rig.series.postponed(write)

    assert rig.write() == [("web", 2, True)]
    assert not rig.dropped


def test_what_was_superseded_on_its_way_is_not_written_again() -> None:
    """The newer cause stays in its place."""
    rig = Rig()
    rig.see(cause(note="old"))
    write = rig.take()
    rig.see(cause(note="new"))
    rig.series.postponed(write)

    assert rig.take().series.cause.note == "new"
    assert rig.series.waiting == 0


def test_with_nothing_to_write_there_is_no_moment() -> None:
    """The loop sleeps until somebody is told no."""
    rig = Rig()

    assert rig.series.take(rig.now) is None
    assert rig.series.next_moment(rig.now) is None
    rig.see(cause())
    assert rig.series.next_moment(rig.now) == rig.now


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("see"), st.sampled_from("abc"), st.sampled_from("xy")),
        st.tuples(st.just("pass"), st.integers(0, 400).map(str), st.just("")),
        st.tuples(st.just("answer"), st.sampled_from(["there", "none"]), st.just("")),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_the_api_answers_the_last_cause_of_each_pod_is_told(
    steps: list[tuple[str, str, str]],
) -> None:
    """Once the API server takes Events again, each pod's newest cause is there, with its count."""
    rig, newest, seen = Rig(), dict[str, Cause](), Counter[Cause]()
    for kind, what, note in steps:
        if kind == "see":
            newest[what] = cause(what, note)
            seen[newest[what]] += 1
            rig.see(newest[what])
        elif kind == "pass":
            rig.now += timedelta(seconds=int(what))
        elif (write := rig.series.take(rig.now)) is not None:
            if what == "there" and not write.series.exists:
                rig.series.already_exists(write)
            else:
                rig.series.postponed(write)
    told, end = Counter[Cause](), rig.now + HOUR
    while rig.now < end:
        while (write := rig.series.take(rig.now)) is not None:
            told[write.series.cause] = write.count
            rig.series.written(write, rig.now)
        rig.now = min(rig.series.next_moment(rig.now) or end, end)

    assert all(told[each] >= seen[each] for each in newest.values())
    assert set(rig.dropped) <= {Dropped.SUPERSEDED}
    assert rig.series.waiting == 0
