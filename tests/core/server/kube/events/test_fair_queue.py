"""Neither a pod nor a namespace takes the Events of the others away."""

from datetime import timedelta

from core.server.kube.events.rig import Rig, cause
from fakes.clock import START
from rolecall_server.kube.events.fair_queue import BURST, HOLD, MOST, MOST_PER_NAMESPACE, REFILL
from rolecall_server.kube.events.series import MOST_REMEMBERED, REFRESH
from rolecall_server.telemetry.event_reasons import Dropped

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def test_ten_thousand_pods_are_neither_a_storm_nor_a_heap() -> None:
    """Of a rule that denies all of them a part is told, slowly; the others are counted."""
    rig = Rig()
    rig.see(*(cause(f"pod-{n}", namespace=f"team-{n % 20}") for n in range(10_000)))
    at_once = len(rig.write())
    in_a_minute = len(rig.write_for(MINUTE))

    assert at_once == 100
    assert 590 <= in_a_minute <= 601
    assert len(rig.series) == MOST_REMEMBERED
    assert rig.dropped == {Dropped.QUEUE_FULL: 10_000 - MOST}


def test_a_namespace_cannot_take_the_others_event_away() -> None:
    """Its pods have their part of the queue, and the namespaces take turns."""
    rig = Rig()
    rig.see(*(cause(f"pod-{n}", namespace="crowd") for n in range(5000)))
    rig.see(cause("lonely", namespace="village"))

    assert rig.dropped == {Dropped.QUEUE_FULL: 5000 - MOST_PER_NAMESPACE}
    assert "lonely" in [pod for pod, _, _ in rig.write()][:2]


def test_a_pod_has_its_share_and_gets_it_back_slowly() -> None:
    """Somebody who writes another annotation every second is told 25 times, not for ever."""
    rig = Rig()
    for number in range(100):
        rig.see(cause(note=f"no {number}"))
        rig.write()
        rig.now += SECOND
    told = len(rig.written)
    rig.now += REFILL
    rig.see(cause(note="once more"), cause("other"))

    assert told == BURST
    assert rig.dropped == {Dropped.POD_BUDGET: 100 - BURST}
    assert [pod for pod, _, _ in rig.write()] == ["web", "other"]


def test_a_namespace_is_held_and_the_others_are_not() -> None:
    """Where nothing may be written is tried again after minutes; elsewhere it goes on."""
    rig = Rig()
    rig.see(cause("first", namespace="closed"), cause("second", namespace="closed"))
    rig.take()
    rig.series.give_up(Dropped.FORBIDDEN)
    rig.series.hold("closed", rig.now)
    rig.see(cause("other", namespace="open"))

    assert [pod for pod, _, _ in rig.write()] == ["other"]
    assert rig.series.next_moment(rig.now) == START + HOLD
    rig.now += HOLD
    assert [pod for pod, _, _ in rig.write()] == ["second"]


def test_a_clock_that_was_set_back_holds_nobody() -> None:
    """Neither a series nor a namespace waits until the clock has caught up."""
    rig = Rig()
    rig.see(cause(), cause())
    rig.write()
    rig.series.hold("team", rig.now)
    rig.now -= 10 * HOUR
    rig.see(cause())

    assert rig.series.next_moment(rig.now) == rig.now + REFRESH
    rig.now += REFRESH
    assert rig.write() == [("web", 3, False)]
