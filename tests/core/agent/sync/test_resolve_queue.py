"""Each address is asked about once at a time, and not again for a second."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address

from rolecall_agent.sync.resolve_queue import MAX_ADDRESSES, ResolveQueue
from rolecall_proto.codec import MAX_QUESTIONS

START = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
POD, OTHER, THIRD = (ip_address(f"10.0.0.{number}") for number in (7, 8, 9))


def test_many_requests_are_one_question() -> None:
    """However many requests wait at an address, it is asked about once."""
    queue = ResolveQueue()
    for _ in range(50):
        queue.enqueue(POD, START)

    assert queue.take(START) == [POD]
    queue.enqueue(POD, START)
    assert queue.take(START) == []


def test_an_answer_holds_for_a_second() -> None:
    """A request that comes soon after an answer asks nothing; a later one asks again."""
    queue = ResolveQueue()
    queue.enqueue(POD, START)
    queue.take(START)
    queue.answered([POD], START)

    queue.enqueue(POD, START + 0.9 * SECOND)
    assert queue.take(START + 0.9 * SECOND) == []
    queue.enqueue(POD, START + SECOND)
    assert queue.take(START + SECOND) == [POD]


def test_a_question_outlives_its_request_by_nothing() -> None:
    """Without a server to ask, a question is dropped when nobody can be waiting any more."""
    queue = ResolveQueue()
    queue.enqueue(POD, START)

    assert queue.take(START + SECOND) == []


def test_a_question_in_flight_takes_as_long_as_it_takes() -> None:
    """Until it is answered it is not asked a second time, and its second begins at the answer."""
    queue = ResolveQueue()
    queue.enqueue(POD, START)
    queue.take(START)

    queue.enqueue(POD, START + 5 * SECOND)
    assert queue.take(START + 5 * SECOND) == []
    queue.answered([POD], START + 6 * SECOND)
    queue.enqueue(POD, START + 6.5 * SECOND)
    assert queue.take(START + 6.5 * SECOND) == []


def test_only_so_many_are_in_flight() -> None:
    """The rest waits, and is raised again when there is room."""
    queue = ResolveQueue()
    pods = [IPv4Address(number) for number in range(MAX_QUESTIONS + 1)]
    for pod in pods:
        queue.enqueue(pod, START)

    assert queue.take(START) == pods[:MAX_QUESTIONS]
    assert not queue.changed.is_set()
    queue.answered(pods[:1], START)
    assert queue.changed.is_set()
    assert queue.take(START) == pods[MAX_QUESTIONS:]


def test_made_up_addresses_fill_no_memory() -> None:
    """A pod that forges its source address raises a bounded number of queue."""
    queue = ResolveQueue()
    for number in range(MAX_ADDRESSES + 1):
        queue.enqueue(IPv4Address(number), START)
    asked = 0
    while taken := queue.take(START):
        asked += len(taken)
        queue.answered(taken, START)

    assert asked == MAX_ADDRESSES


def test_a_clock_that_is_set_back_makes_nobody_wait() -> None:
    """An answer from the future is no reason to keep silent until then."""
    queue = ResolveQueue()
    queue.enqueue(POD, START)
    queue.take(START)
    queue.answered([POD], START)

    earlier = START - timedelta(hours=1)
    queue.enqueue(POD, earlier)
    assert queue.take(earlier) == [POD]


def test_a_question_that_was_cut_off_is_asked_again() -> None:
    """By the next stream at once: nobody has answered it, and its request still waits."""
    queue = ResolveQueue()
    queue.enqueue(POD, START)
    queue.take(START)
    queue.requeue_all()

    assert queue.take(START + 0.5 * SECOND) == [POD]


def test_a_question_that_was_cut_off_is_not_raised_by_itself() -> None:
    """Where nobody answers it would be asked in a circle, however many requests repeat it."""
    queue = ResolveQueue()
    queue.enqueue(POD, START)
    queue.take(START)
    queue.requeue([POD])
    queue.enqueue(POD, START)
    by_itself = queue.changed.is_set()
    queue.enqueue(OTHER, START)

    assert not by_itself
    assert queue.changed.is_set()
    assert queue.take(START) == [POD, OTHER]


def test_a_question_that_was_cut_off_waits_no_longer_than_its_request() -> None:
    """Its time is that of the request, and not of the last try."""
    queue = ResolveQueue()
    queue.enqueue(POD, START)
    queue.enqueue(OTHER, START)
    queue.take(START)
    queue.enqueue(THIRD, START + 0.5 * SECOND)
    queue.requeue([POD])
    queue.requeue([OTHER])

    assert queue.take(START + SECOND) == [THIRD]


def test_what_was_invalidated_and_requeued_is_asked_once() -> None:
    """It waits as anything that was cut off."""
    queue = ResolveQueue()
    queue.enqueue(POD, START)
    queue.take(START)
    queue.invalidate([POD])
    queue.requeue_all()

    assert queue.take(START) == [POD]
    queue.answered([POD], START)
    assert queue.take(START) == []


def test_what_is_invalidated_is_asked_again_at_once() -> None:
    """An answer from before the address changed hands holds for no second at all."""
    queue = ResolveQueue()
    queue.enqueue(POD, START)
    queue.take(START)
    queue.answered([POD], START)
    queue.invalidate([POD])
    queue.enqueue(POD, START)

    assert queue.take(START) == [POD]


def test_what_is_invalidated_while_it_is_asked_is_asked_again_by_itself() -> None:
    """Nobody raises the question anew: its request waits already."""
    queue = ResolveQueue()
    queue.enqueue(POD, START)
    queue.take(START)
    queue.invalidate([POD])
    assert queue.take(START) == []

    queue.answered([POD], START)
    assert queue.changed.is_set()
    assert queue.take(START) == [POD]
    queue.answered([POD], START)
    assert queue.take(START) == []
