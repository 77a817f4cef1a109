"""Each address is asked about once at a time, and not again for a second."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address

from rolecall_agent.sync.resolve_queue import MAX_ADDRESSES, Questions
from rolecall_proto.codec import MAX_QUESTIONS

START = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
POD, OTHER, THIRD = (ip_address(f"10.0.0.{number}") for number in (7, 8, 9))


def test_many_requests_are_one_question() -> None:
    """However many requests wait at an address, it is asked about once."""
    questions = Questions()
    for _ in range(50):
        questions.want(POD, START)

    assert questions.take(START) == [POD]
    questions.want(POD, START)
    assert questions.take(START) == []


def test_an_answer_holds_for_a_second() -> None:
    """A request that comes soon after an answer asks nothing; a later one asks again."""
    questions = Questions()
    questions.want(POD, START)
    questions.take(START)
    questions.answered([POD], START)

    questions.want(POD, START + 0.9 * SECOND)
    assert questions.take(START + 0.9 * SECOND) == []
    questions.want(POD, START + SECOND)
    assert questions.take(START + SECOND) == [POD]


def test_a_question_outlives_its_request_by_nothing() -> None:
    """Without a server to ask, a question is dropped when nobody can be waiting any more."""
    questions = Questions()
    questions.want(POD, START)

    assert questions.take(START + SECOND) == []


def test_a_question_in_flight_takes_as_long_as_it_takes() -> None:
    """Until it is answered it is not asked a second time, and its second begins at the answer."""
    questions = Questions()
    questions.want(POD, START)
    questions.take(START)

    questions.want(POD, START + 5 * SECOND)
    assert questions.take(START + 5 * SECOND) == []
    questions.answered([POD], START + 6 * SECOND)
    questions.want(POD, START + 6.5 * SECOND)
    assert questions.take(START + 6.5 * SECOND) == []


def test_only_so_many_are_in_flight() -> None:
    """The rest waits, and is raised again when there is room."""
    questions = Questions()
    pods = [IPv4Address(number) for number in range(MAX_QUESTIONS + 1)]
    for pod in pods:
        questions.want(pod, START)

    assert questions.take(START) == pods[:MAX_QUESTIONS]
    assert not questions.raised.is_set()
    questions.answered(pods[:1], START)
    assert questions.raised.is_set()
    assert questions.take(START) == pods[MAX_QUESTIONS:]


def test_made_up_addresses_fill_no_memory() -> None:
    """A pod that forges its source address raises a bounded number of questions."""
    questions = Questions()
    for number in range(MAX_ADDRESSES + 1):
        questions.want(IPv4Address(number), START)
    asked = 0
    while taken := questions.take(START):
        asked += len(taken)
        questions.answered(taken, START)

    assert asked == MAX_ADDRESSES


def test_a_clock_that_is_set_back_makes_nobody_wait() -> None:
    """An answer from the future is no reason to keep silent until then."""
    questions = Questions()
    questions.want(POD, START)
    questions.take(START)
    questions.answered([POD], START)

    earlier = START - timedelta(hours=1)
    questions.want(POD, earlier)
    assert questions.take(earlier) == [POD]


def test_a_question_that_was_cut_off_is_asked_again() -> None:
    """By the next stream at once: nobody has answered it, and its request still waits."""
    questions = Questions()
    questions.want(POD, START)
    questions.take(START)
    questions.cut_off()

    assert questions.take(START + 0.5 * SECOND) == [POD]


def test_a_question_that_was_cut_off_is_not_raised_by_itself() -> None:
    """Where nobody answers it would be asked in a circle, however many requests repeat it."""
    questions = Questions()
    questions.want(POD, START)
    questions.take(START)
    questions.unanswered([POD])
    questions.want(POD, START)
    by_itself = questions.raised.is_set()
    questions.want(OTHER, START)

    assert not by_itself
    assert questions.raised.is_set()
    assert questions.take(START) == [POD, OTHER]


def test_a_question_that_was_cut_off_waits_no_longer_than_its_request() -> None:
    """Its time is that of the request, and not of the last try."""
    questions = Questions()
    questions.want(POD, START)
    questions.want(OTHER, START)
    questions.take(START)
    questions.want(THIRD, START + 0.5 * SECOND)
    questions.unanswered([POD])
    questions.unanswered([OTHER])

    assert questions.take(START + SECOND) == [THIRD]


def test_what_was_doubted_and_cut_off_is_asked_once() -> None:
    """It waits as anything that was cut off."""
    questions = Questions()
    questions.want(POD, START)
    questions.take(START)
    questions.doubt([POD])
    questions.cut_off()

    assert questions.take(START) == [POD]
    questions.answered([POD], START)
    assert questions.take(START) == []


def test_what_is_doubted_is_asked_again_at_once() -> None:
    """An answer from before the address changed hands holds for no second at all."""
    questions = Questions()
    questions.want(POD, START)
    questions.take(START)
    questions.answered([POD], START)
    questions.doubt([POD])
    questions.want(POD, START)

    assert questions.take(START) == [POD]


def test_what_is_doubted_while_it_is_asked_is_asked_again_by_itself() -> None:
    """Nobody raises the question anew: its request waits already."""
    questions = Questions()
    questions.want(POD, START)
    questions.take(START)
    questions.doubt([POD])
    assert questions.take(START) == []

    questions.answered([POD], START)
    assert questions.raised.is_set()
    assert questions.take(START) == [POD]
    questions.answered([POD], START)
    assert questions.take(START) == []
