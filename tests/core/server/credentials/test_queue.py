"""The queue: what is due is state that can be asked again, never a signal."""

from datetime import datetime, timedelta

from fakes.clock import START
from rolecall_proto.values import SessionId
from rolecall_server.credentials.queue import IssueQueue, Urgency

READER, WRITER, ADMIN = SessionId("reader"), SessionId("writer"), SessionId("admin")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def put(
    queue: IssueQueue,
    session_id: SessionId,
    at: datetime = START,
    urgency: Urgency = Urgency.RENEWAL,
    end: datetime = START,
) -> None:
    queue.put(session_id, at, urgency, end)


def take_all(queue: IssueQueue, now: datetime) -> list[SessionId]:
    taken = []
    while (session_id := queue.take(now)) is not None:
        taken.append(session_id)
    return taken


def test_an_entry_waits_for_its_moment() -> None:
    """Nothing is taken a moment early, and the next moment says when to come back."""
    queue = IssueQueue()
    put(queue, READER, at=after(10))

    assert queue.take(after(9)) is None
    assert queue.next_moment(after(9)) == after(10)
    assert queue.take(after(10)) == READER


def test_what_is_due_stays_due_until_it_is_taken() -> None:
    """A moment that was slept through is not lost."""
    queue = IssueQueue()
    for session_id in (READER, WRITER):
        put(queue, session_id)

    assert queue.take(after(1000)) == READER
    assert queue.next_moment(after(1000)) == after(1000)
    assert queue.take(after(2000)) == WRITER


def test_the_most_urgent_is_taken_first() -> None:
    """A pod that waits, then a new pod, then what ends first."""
    queue = IssueQueue()
    ends_later, ends_sooner = SessionId("ends later"), SessionId("ends sooner")
    put(queue, ends_later, urgency=Urgency.RENEWAL, end=after(200))
    put(queue, ends_sooner, urgency=Urgency.RENEWAL, end=after(100))
    put(queue, WRITER, urgency=Urgency.NEW, end=after(50))
    put(queue, READER, urgency=Urgency.WAITING, end=after(60))

    assert take_all(queue, START) == [READER, WRITER, ends_sooner, ends_later]


def test_what_is_ready_can_become_more_urgent() -> None:
    """A pod that asks lifts its identity over those that were ready before."""
    queue = IssueQueue()
    put(queue, READER, urgency=Urgency.NEW)
    put(queue, WRITER, urgency=Urgency.NEW)
    assert queue.count_ready(START) == 2
    put(queue, WRITER, urgency=Urgency.WAITING)

    assert take_all(queue, START) == [WRITER, READER]


def test_there_is_one_call_at_a_time() -> None:
    """An identity in flight cannot be put into it, so it cannot be taken twice."""
    queue = IssueQueue()
    put(queue, READER)
    queue.take(START)
    put(queue, READER)

    assert queue.take(after(1000)) is None
    assert queue.next_moment(START) is None


def test_an_entry_is_possible_again_once_the_call_is_complete() -> None:
    """A complete call enters nothing by itself."""
    queue = IssueQueue()
    put(queue, READER)
    queue.take(START)
    queue.complete(READER)
    assert queue.next_moment(START) is None
    put(queue, READER, at=after(5))

    assert queue.next_moment(START) == after(5)


def test_a_dropped_entry_is_not_taken() -> None:
    """Neither while it waits for its moment nor when it is ready."""
    queue = IssueQueue()
    put(queue, READER, at=after(5))
    put(queue, WRITER)
    assert queue.count_ready(START) == 1
    queue.drop(READER)
    queue.drop(WRITER)

    assert take_all(queue, after(10)) == []
    assert queue.next_moment(START) is None


def test_a_new_entry_takes_the_place_of_the_old_one() -> None:
    """A later moment than before postpones."""
    queue = IssueQueue()
    put(queue, READER)
    put(queue, READER, at=after(60))

    assert queue.take(after(59)) is None
    assert queue.take(after(60)) == READER
