"""The queue: what is due is state that can be asked again, never a signal."""

from datetime import datetime, timedelta
from typing import Any

from fakes.clock import START
from rolecall_proto.values import SessionId
from rolecall_server.credentials.call_rates import Scope
from rolecall_server.credentials.fair_lanes import Place
from rolecall_server.credentials.queue import Entry, IssueQueue, Urgency

READER, WRITER, ADMIN = SessionId("reader"), SessionId("writer"), SessionId("admin")
OURS, THEIRS = Scope("111122223333", "eu-west-1"), Scope("444455556666", "eu-west-1")
TEAM, STORM = Place(("team",), OURS), Place(("storm",), OURS)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def put(queue: IssueQueue, session_id: SessionId, **changes: Any) -> None:  # noqa: ANN401 (Entry's)
    entry = Entry(START, Urgency.RENEWAL, end=START, place=TEAM)
    queue.put(session_id, entry._replace(**changes))


def take(queue: IssueQueue, now: datetime, *closed: Scope) -> SessionId | None:
    return queue.take(now, lambda scope: scope not in closed)


def take_all(queue: IssueQueue, now: datetime, *closed: Scope) -> list[SessionId]:
    taken = []
    while (session_id := take(queue, now, *closed)) is not None:
        taken.append(session_id)
    return taken


def next_moment(
    queue: IssueQueue, now: datetime, opens: dict[Scope, datetime] | None = None
) -> datetime | None:
    return queue.next_moment(now, opens.get if opens else lambda _, now: now)


def test_an_entry_waits_for_its_moment() -> None:
    """Nothing is taken a moment early, and the next moment says when to come back."""
    queue = IssueQueue()
    put(queue, READER, at=after(10))

    assert take(queue, after(9)) is None
    assert next_moment(queue, after(9)) == after(10)
    assert take(queue, after(10)) == READER


def test_what_is_due_stays_due_until_it_is_taken() -> None:
    """A moment that was slept through is not lost."""
    queue = IssueQueue()
    for session_id in (READER, WRITER):
        put(queue, session_id)

    assert take(queue, after(1000)) == READER
    assert next_moment(queue, after(1000)) == after(1000)
    assert take(queue, after(2000)) == WRITER


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
    take(queue, START)
    put(queue, READER)

    assert take(queue, after(1000)) is None
    assert next_moment(queue, START) is None


def test_an_entry_is_possible_again_once_the_call_is_complete() -> None:
    """A complete call enters nothing by itself."""
    queue = IssueQueue()
    put(queue, READER)
    take(queue, START)
    queue.complete(READER)
    assert next_moment(queue, START) is None
    put(queue, READER, at=after(5))

    assert next_moment(queue, START) == after(5)


def test_a_dropped_entry_is_not_taken() -> None:
    """Neither while it waits for its moment nor when it is ready."""
    queue = IssueQueue()
    put(queue, READER, at=after(5))
    put(queue, WRITER)
    assert queue.count_ready(START) == 1
    queue.drop(READER)
    queue.drop(WRITER)

    assert take_all(queue, after(10)) == []
    assert next_moment(queue, START) is None


def test_a_new_entry_takes_the_place_of_the_old_one() -> None:
    """A later moment than before postpones."""
    queue = IssueQueue()
    put(queue, READER)
    put(queue, READER, at=after(60))

    assert take(queue, after(59)) is None
    assert take(queue, after(60)) == READER


def test_what_is_ending_and_all_the_rest_take_turns() -> None:
    """Neither a thousand renewals nor a thousand new pods keep the other waiting for long."""
    queue = IssueQueue()
    for n in range(3):
        put(queue, SessionId(f"ending-{n}"), urgency=Urgency.ENDING, end=after(n))
        put(queue, SessionId(f"waiting-{n}"), urgency=Urgency.WAITING, end=after(n))
    put(queue, READER, urgency=Urgency.RENEWAL)

    assert take_all(queue, START) == [
        *(f"{kind}-{n}" for n in range(3) for kind in ("ending", "waiting")),
        READER,
    ]


def test_a_renewal_that_waits_too_long_becomes_an_ending_one() -> None:
    """Its moment passes in the queue, without anybody's word."""
    queue = IssueQueue()
    queue.put(READER, Entry(START, Urgency.RENEWAL, after(100), TEAM, ending_at=after(10)))
    for n in range(4):
        put(queue, SessionId(f"new-{n}"), urgency=Urgency.NEW, end=after(n))

    assert take(queue, after(9)) == "new-0"
    assert take(queue, after(10)) == READER


def test_namespaces_take_turns() -> None:
    """However many of one are ready, another's waits for one of them."""
    queue = IssueQueue()
    for n in range(1000):
        put(queue, SessionId(f"storm-{n}"), urgency=Urgency.NEW, place=STORM)
    take(queue, START)
    put(queue, READER, urgency=Urgency.NEW, end=after(100))

    assert READER in [take(queue, START) for _ in range(2)]


def test_what_several_need_is_taken_at_the_first_ones_turn() -> None:
    """Once; its other places are free then."""
    queue = IssueQueue()
    for n in range(10):
        put(queue, SessionId(f"storm-{n}"), place=STORM)
    put(queue, READER, end=after(100), place=Place(("storm", "team"), OURS))
    taken = take_all(queue, START)

    assert taken.index(READER) == 1
    assert len(taken) == len(set(taken)) == 11


def test_a_closed_account_holds_up_nobody() -> None:
    """Neither other namespaces nor its own namespace's roles in other accounts."""
    queue = IssueQueue()
    put(queue, WRITER, place=Place(("team",), THEIRS))
    put(queue, READER, end=after(100))
    put(queue, ADMIN, end=after(200), place=Place(("other",), OURS))

    assert set(take_all(queue, START, THEIRS)) == {READER, ADMIN}
    assert next_moment(queue, START, {THEIRS: after(5)}) == after(5)
    assert take(queue, after(5)) == WRITER
