"""Events on pods: once for each cause, repeats as a series, and never more than the budget."""

import re
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.hostile import ESCAPES, MEGABYTE
from fakes.clock import START
from rolecall_proto.reasons import MEANINGS
from rolecall_proto.values import PodUid, Reason, State
from rolecall_server.kube.events.event_object import (
    MOST_NOTE,
    Cause,
    Series,
    name_of,
    new_event,
    note_of,
)
from rolecall_server.kube.events.fair_queue import BURST, HOLD, MOST, MOST_IN_LANE, REFILL
from rolecall_server.kube.events.series import MOST_REMEMBERED, REFRESH, EventSeries, Write
from rolecall_server.telemetry.event_reasons import EVENT_REASONS, KIAM_WORDS, Dropped, EventReason

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def cause(
    pod: str = "web",
    note: str = "no",
    reason: EventReason = EventReason.ROLE_DENIED,
    namespace: str = "team",
) -> Cause:
    return Cause(PodUid(f"uid-{namespace}-{pod}"), namespace, pod, reason, note)


class Desk:
    """A book of series, its time, and an API server that takes everything."""

    def __init__(self) -> None:
        self.now = START
        self.dropped: Counter[Dropped] = Counter()
        self.series = EventSeries(lambda why: self.dropped.update([why]))
        self.written: list[tuple[str, int, bool]] = []  # Pod, count, whether it is a new Event.

    def see(self, *causes: Cause) -> None:
        for each in causes:
            self.series.see(each, self.now)

    def take(self) -> Write:
        write = self.series.take(self.now)
        assert write is not None
        return write

    def write(self) -> list[tuple[str, int, bool]]:
        """Write what may be written now, and return it."""
        before = len(self.written)
        while (write := self.series.take(self.now)) is not None:
            series = write.series
            self.written.append((series.cause.pod, write.count, not series.exists))
            self.series.written(write, self.now)
        return self.written[before:]

    def write_for(self, duration: timedelta) -> list[tuple[str, int, bool]]:
        """Write whenever the series say so, for as long as *duration*."""
        before, end = len(self.written), self.now + duration
        while self.now < end:
            self.write()
            self.now = min(self.series.next_moment(self.now) or end, end)
        return self.written[before:]


def test_every_reason_has_its_event_or_none() -> None:
    """A new reason without an answer to this question does not get past this test."""
    assert list(EVENT_REASONS) == list(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_who_gets_nothing_for_good_has_an_event(reason: Reason) -> None:
    """Whoever only waits has none, nor has whoever never asked for a role, or is gone."""
    lost = {State.DENIED, State.FAILED} & set(MEANINGS[reason].states)
    silent = {Reason.NO_ROLE, Reason.NAMESPACE_GONE}

    if lost and reason not in silent:
        assert EVENT_REASONS[reason] is not None
    elif reason is not Reason.HOST_NETWORK_UNSUPPORTED:
        assert EVENT_REASONS[reason] is None


def test_kiam_has_two_words() -> None:
    """Policy forbids, or STS refuses; the host network has none of its own."""
    assert KIAM_WORDS[EventReason.ROLE_DENIED] == "KiamRoleForbidden"
    assert KIAM_WORDS[EventReason.ROLE_MALFORMED] == "KiamRoleForbidden"
    assert KIAM_WORDS[EventReason.ROLE_NOT_ASSUMABLE] == "KiamCredentialError"
    assert EventReason.HOST_NETWORK_UNSUPPORTED not in KIAM_WORDS


def test_the_page_explains_each_reason_and_everything_that_is_dropped() -> None:
    """Whoever reads a word in kubectl or in a metric finds it there."""
    page = (Path(__file__).parents[5] / "docs" / "events.md").read_text()

    assert [each for each in (*EventReason, *Dropped) if f"`{each}`" not in page] == []


@given(st.text(alphabet=st.characters(), max_size=3000))
def test_a_note_is_one_printable_line_that_the_api_takes(sentence: str) -> None:
    """Whatever is in an annotation: no control characters, no half of a pair, 1,024 bytes."""
    note = note_of(sentence)

    assert note.isprintable()
    assert len(note.encode()) <= MOST_NOTE


def test_a_sentence_that_fits_is_the_note_as_it_is() -> None:
    """What is not odd is not touched."""
    assert note_of("the role 'admin' is not allowed …") == "the role 'admin' is not allowed …"
    assert note_of("x" * MOST_NOTE) == "x" * MOST_NOTE


def test_what_is_hostile_in_a_sentence_does_not_reach_a_terminal() -> None:
    """Kubectl prints notes as they are."""
    assert "\x1b" not in note_of(ESCAPES)
    assert note_of("a\u202eb\nc") == "a\ufffdb\ufffdc"
    assert note_of(MEGABYTE).endswith("…")


@given(st.from_regex(r"[a-z0-9]([a-z0-9]|-[a-z0-9]|\.[a-z0-9]){0,125}", fullmatch=True))
def test_an_event_has_a_name_that_the_api_takes(pod: str) -> None:
    """A pod's name may be as long as an Event's, and is cut where a name may end."""
    name = name_of(cause(pod[:253]))

    assert len(name) <= 253
    assert SUBDOMAIN.fullmatch(name)


def test_a_name_follows_from_pod_reason_and_note() -> None:
    """Two replicas give the same cause the same name, and different causes different ones."""
    different = [
        cause(),
        cause("other"),
        cause(note="no!"),
        cause(reason=EventReason.ROLE_MALFORMED),
    ]

    assert name_of(cause()) == name_of(cause())
    assert len({name_of(each) for each in different}) == len(different)


def test_an_event_says_what_the_api_wants_to_know() -> None:
    """All of it: the API server refuses an Event without any one of these."""
    event = new_event(Series(cause(), START, START), "server-1")

    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name_of(cause()), "namespace": "team"},
        "type": "Warning",
        "reason": "RoleDenied",
        "note": "no",
        "action": "AssignRole",
        "eventTime": "2030-01-01T00:00:00.000000Z",
        "reportingController": "rolecall.io/server",
        "reportingInstance": "server-1",
        "regarding": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "team",
            "name": "web",
            "uid": "uid-team-web",
        },
    }


def test_an_instance_is_there_and_not_too_long() -> None:
    """A host's name may be longer than the API takes."""
    series = Series(cause(), START, START)

    assert new_event(series, "")["reportingInstance"] == "unknown"
    assert len(str(new_event(series, "x" * 200)["reportingInstance"]).encode()) <= 128


def test_the_first_is_an_event_and_a_repeat_makes_it_a_series() -> None:
    """As client-go does it: the first has no series, the second makes the count two."""
    desk = Desk()
    desk.see(cause())
    first = desk.write()
    desk.now += MINUTE
    desk.see(cause())

    assert first == [("web", 1, True)]
    assert desk.write() == [("web", 2, False)]


def test_what_repeats_while_it_waits_is_one_event() -> None:
    """The count is told at once."""
    desk = Desk()
    desk.see(cause(), cause(), cause())

    assert desk.write() == [("web", 3, True)]
    assert new_event(Series(cause(), START, START + SECOND, 3), "")["series"] == {
        "count": 3,
        "lastObservedTime": "2030-01-01T00:00:01.000000Z",
    }


def test_a_series_is_written_again_at_most_every_few_minutes() -> None:
    """A pod that flaps is not a call every second, and its count is told all the same."""
    desk = Desk()
    for _ in range(600):
        desk.see(cause())
        desk.write()
        desk.now += SECOND
    desk.write_for(REFRESH)

    assert desk.written == [
        ("web", 1, True),
        ("web", 2, False),
        ("web", 302, False),
        ("web", 600, False),
    ]


def test_another_pod_reason_or_note_is_another_event() -> None:
    """A pod whose annotation was mended in vain is told so."""
    desk = Desk()
    desk.see(cause())
    desk.write()
    desk.see(cause("db"), cause(note="still no"), cause(reason=EventReason.ROLE_NOT_ASSUMABLE))

    assert sorted(desk.write()) == [("db", 1, True), ("web", 1, True), ("web", 1, True)]


def test_of_one_pod_the_newest_cause_is_written() -> None:
    """What was so before anybody could write is not so any more."""
    desk = Desk()
    desk.see(cause(note="first"), cause(note="second"))
    write = desk.take()

    assert write.series.cause.note == "second"
    assert desk.dropped == {Dropped.SUPERSEDED: 1}
    assert desk.series.waiting == 0


def test_an_event_that_is_there_already_is_gone_on_with() -> None:
    """Another replica has said it, or this one before it was started anew."""
    desk = Desk()
    desk.see(cause())
    desk.series.found(desk.take())

    assert desk.write() == [("web", 2, False)]


def test_an_event_that_has_expired_is_begun_anew() -> None:
    """The API server keeps Events for an hour; the new one counts from one."""
    desk = Desk()
    desk.see(cause())
    desk.write()
    desk.now += 2 * HOUR
    desk.see(cause())
    desk.series.lost(desk.take())

    write = desk.take()
    assert (write.count, write.series.exists, write.series.since) == (1, False, desk.now)


def test_an_event_that_is_and_is_not_there_is_given_up() -> None:
    """An API server that contradicts itself is not asked for ever."""
    desk = Desk()
    desk.see(cause())
    for _ in range(10):
        if (write := desk.series.take(desk.now)) is None:
            break
        (desk.series.lost if write.series.exists else desk.series.found)(write)

    assert desk.series.waiting == 0
    assert desk.dropped == {Dropped.REJECTED: 1}


def test_what_nobody_answered_for_is_written_again() -> None:
    """Nothing is lost by an outage, not even a repeat that was seen in it."""
    desk = Desk()
    desk.see(cause())
    write = desk.take()
    desk.see(cause())
    desk.series.postponed(write)

    assert desk.write() == [("web", 2, True)]
    assert not desk.dropped


def test_what_was_superseded_on_its_way_is_not_written_again() -> None:
    """The newer cause stays in its place."""
    desk = Desk()
    desk.see(cause(note="old"))
    write = desk.take()
    desk.see(cause(note="new"))
    desk.series.postponed(write)

    assert desk.take().series.cause.note == "new"
    assert desk.series.waiting == 0


def test_ten_thousand_pods_are_neither_a_storm_nor_a_heap() -> None:
    """Of a rule that denies all of them a part is told, slowly; the others are counted."""
    desk = Desk()
    desk.see(*(cause(f"pod-{n}", namespace=f"team-{n % 20}") for n in range(10_000)))
    at_once = len(desk.write())
    in_a_minute = len(desk.write_for(MINUTE))

    assert at_once == 100
    assert 590 <= in_a_minute <= 601
    assert len(desk.series) == MOST_REMEMBERED
    assert desk.dropped == {Dropped.QUEUE_FULL: 10_000 - MOST}


def test_a_namespace_cannot_take_the_others_event_away() -> None:
    """Its pods have their part of the queue, and the namespaces take turns."""
    desk = Desk()
    desk.see(*(cause(f"pod-{n}", namespace="crowd") for n in range(5000)))
    desk.see(cause("lonely", namespace="village"))

    assert desk.dropped == {Dropped.QUEUE_FULL: 5000 - MOST_IN_LANE}
    assert "lonely" in [pod for pod, _, _ in desk.write()][:2]


def test_a_pod_has_its_share_and_gets_it_back_slowly() -> None:
    """Somebody who writes another annotation every second is told 25 times, not for ever."""
    desk = Desk()
    for number in range(100):
        desk.see(cause(note=f"no {number}"))
        desk.write()
        desk.now += SECOND
    told = len(desk.written)
    desk.now += REFILL
    desk.see(cause(note="once more"), cause("other"))

    assert told == BURST
    assert desk.dropped == {Dropped.POD_BUDGET: 100 - BURST}
    assert [pod for pod, _, _ in desk.write()] == ["web", "other"]


def test_a_namespace_is_held_and_the_others_are_not() -> None:
    """Where nothing may be written is tried again after minutes; elsewhere it goes on."""
    desk = Desk()
    desk.see(cause("first", namespace="closed"), cause("second", namespace="closed"))
    desk.take()
    desk.series.refused(Dropped.FORBIDDEN)
    desk.series.hold("closed", desk.now)
    desk.see(cause("other", namespace="open"))

    assert [pod for pod, _, _ in desk.write()] == ["other"]
    assert desk.series.next_moment(desk.now) == START + HOLD
    desk.now += HOLD
    assert [pod for pod, _, _ in desk.write()] == ["second"]


def test_a_clock_that_was_set_back_holds_nobody() -> None:
    """Neither a series nor a namespace waits until the clock has caught up."""
    desk = Desk()
    desk.see(cause(), cause())
    desk.write()
    desk.series.hold("team", desk.now)
    desk.now -= 10 * HOUR
    desk.see(cause())

    assert desk.series.next_moment(desk.now) == desk.now + REFRESH
    desk.now += REFRESH
    assert desk.write() == [("web", 3, False)]


def test_with_nothing_to_write_there_is_no_moment() -> None:
    """The loop sleeps until somebody is told no."""
    desk = Desk()

    assert desk.series.take(desk.now) is None
    assert desk.series.next_moment(desk.now) is None
    desk.see(cause())
    assert desk.series.next_moment(desk.now) == desk.now


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
    desk, newest, seen = Desk(), dict[str, Cause](), Counter[Cause]()
    for kind, what, note in steps:
        if kind == "see":
            newest[what] = cause(what, note)
            seen[newest[what]] += 1
            desk.see(newest[what])
        elif kind == "pass":
            desk.now += timedelta(seconds=int(what))
        elif (write := desk.series.take(desk.now)) is not None:
            if what == "there" and not write.series.exists:
                desk.series.found(write)
            else:
                desk.series.postponed(write)
    told, end = Counter[Cause](), desk.now + HOUR
    while desk.now < end:
        while (write := desk.series.take(desk.now)) is not None:
            told[write.series.cause] = write.count
            desk.series.written(write, desk.now)
        desk.now = min(desk.series.next_moment(desk.now) or end, end)

    assert all(told[each] >= seen[each] for each in newest.values())
    assert set(desk.dropped) <= {Dropped.SUPERSEDED}
    assert desk.series.waiting == 0
