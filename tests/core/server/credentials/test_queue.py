"""The schedule: what is due is state that can be asked again, never a signal."""

from datetime import datetime, timedelta

from fakes.clock import START
from rolecall_proto.values import SessionId
from rolecall_server.credentials.queue import Schedule, Urgency

READER, WRITER, ADMIN = SessionId("reader"), SessionId("writer"), SessionId("admin")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def plan(
    schedule: Schedule,
    session_id: SessionId,
    at: datetime = START,
    urgency: Urgency = Urgency.RENEWAL,
    end: datetime = START,
) -> None:
    schedule.plan(session_id, at, urgency, end)


def take_all(schedule: Schedule, now: datetime) -> list[SessionId]:
    taken = []
    while (session_id := schedule.take(now)) is not None:
        taken.append(session_id)
    return taken


def test_a_plan_waits_for_its_moment() -> None:
    """Nothing is taken a moment early, and the next moment says when to come back."""
    schedule = Schedule()
    plan(schedule, READER, at=after(10))

    assert schedule.take(after(9)) is None
    assert schedule.next_moment(after(9)) == after(10)
    assert schedule.take(after(10)) == READER


def test_what_is_due_stays_due_until_it_is_taken() -> None:
    """A moment that was slept through is not lost."""
    schedule = Schedule()
    for session_id in (READER, WRITER):
        plan(schedule, session_id)

    assert schedule.take(after(1000)) == READER
    assert schedule.next_moment(after(1000)) == after(1000)
    assert schedule.take(after(2000)) == WRITER


def test_the_most_urgent_is_taken_first() -> None:
    """A pod that waits, then a new pod, then what ends first."""
    schedule = Schedule()
    ends_later, ends_sooner = SessionId("ends later"), SessionId("ends sooner")
    plan(schedule, ends_later, urgency=Urgency.RENEWAL, end=after(200))
    plan(schedule, ends_sooner, urgency=Urgency.RENEWAL, end=after(100))
    plan(schedule, WRITER, urgency=Urgency.NEW, end=after(50))
    plan(schedule, READER, urgency=Urgency.WAITING, end=after(60))

    assert take_all(schedule, START) == [READER, WRITER, ends_sooner, ends_later]


def test_what_is_ready_can_become_more_urgent() -> None:
    """A pod that asks lifts its identity over those that were ready before."""
    schedule = Schedule()
    plan(schedule, READER, urgency=Urgency.NEW)
    plan(schedule, WRITER, urgency=Urgency.NEW)
    assert schedule.count_ready(START) == 2
    plan(schedule, WRITER, urgency=Urgency.WAITING)

    assert take_all(schedule, START) == [WRITER, READER]


def test_there_is_one_call_at_a_time() -> None:
    """An identity in flight cannot be planned, so it cannot be taken twice."""
    schedule = Schedule()
    plan(schedule, READER)
    schedule.take(START)
    plan(schedule, READER)

    assert schedule.take(after(1000)) is None
    assert schedule.next_moment(START) is None


def test_a_plan_is_possible_again_once_the_call_has_landed() -> None:
    """Landing plans nothing by itself."""
    schedule = Schedule()
    plan(schedule, READER)
    schedule.take(START)
    schedule.landed(READER)
    assert schedule.next_moment(START) is None
    plan(schedule, READER, at=after(5))

    assert schedule.next_moment(START) == after(5)


def test_a_forgotten_plan_is_not_taken() -> None:
    """Neither while it waits for its moment nor when it is ready."""
    schedule = Schedule()
    plan(schedule, READER, at=after(5))
    plan(schedule, WRITER)
    assert schedule.count_ready(START) == 1
    schedule.forget(READER)
    schedule.forget(WRITER)

    assert take_all(schedule, after(10)) == []
    assert schedule.next_moment(START) is None


def test_a_new_plan_takes_the_place_of_the_old_one() -> None:
    """Planning later than before postpones."""
    schedule = Schedule()
    plan(schedule, READER)
    plan(schedule, READER, at=after(60))

    assert schedule.take(after(59)) is None
    assert schedule.take(after(60)) == READER
