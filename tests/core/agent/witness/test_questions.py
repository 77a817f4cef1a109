"""Which answers of the kernel are taken for the answer to a question."""

import errno
from collections import deque
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from fakes.netlink import error, link, message, route
from rolecall_agent.witness.netlink import LostError
from rolecall_agent.witness.questions import Questions
from rolecall_agent.witness.rtnetlink import layout, requests
from rolecall_agent.witness.rtnetlink.messages import Link, Route

HERE = ip_address("10.0.0.1")
PORT = 77
ABOUT_HERE = requests.ask_route(HERE)
ALL_LINKS = requests.ask_all(layout.GET_LINK, 0)
Reply = bytes | OSError
Replies = Callable[[int], list[Reply]]


class Script:
    """A socket whose replies to each question are written down; it is given their number."""

    def __init__(self, *replies: Replies) -> None:
        self.sent: list[int] = []
        self._replies = deque(replies)
        self._queue: deque[Reply] = deque()

    def fileno(self) -> int:
        return -1

    def getsockname(self) -> tuple[int, int]:
        return PORT, 0

    def send(self, data: bytes) -> int:
        sequence = layout.HEADER.unpack_from(data)[3]
        self.sent.append(sequence)
        self._queue += self._replies.popleft()(sequence)
        return len(data)

    def recvfrom(self, room: int) -> tuple[bytes, tuple[int, int]]:  # noqa: ARG002 - a socket's own
        if not self._queue:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        next_ = self._queue.popleft()
        if isinstance(next_, OSError):
            raise next_
        return next_, (0, 0)

    def close(self) -> None: ...


def asking(*replies: Replies) -> Questions:
    made = Script(*replies)
    return Questions(lambda groups, program: made)  # noqa: ARG005 - one socket for all


def by(index: int, port: int = PORT) -> Replies:
    return lambda sequence: [message(layout.NEW_ROUTE, route(HERE, index), sequence, port)]


def dump(*links: int, flags: int = 0, problem: int = 0) -> Replies:
    def replies(sequence: int) -> list[Reply]:
        parts = [message(layout.NEW_LINK, link(each), sequence, PORT, flags) for each in links]
        end = (-problem).to_bytes(4, "little", signed=True)
        return [b"".join(parts), message(layout.DONE, end, sequence, PORT)]

    return replies


def way(questions: Questions) -> int:
    found = questions.one(ABOUT_HERE)
    assert isinstance(found, Route)
    return found.link


def numbers(questions: Questions) -> list[int]:
    return [each.number for each in questions.all(ALL_LINKS) if isinstance(each, Link)]


def test_an_answer_that_came_too_late_is_not_taken_for_that_to_the_next_question() -> None:
    """It was there, and could not be received."""
    questions = asking(
        lambda sequence: [OSError(errno.ENOMEM, "no memory"), *by(7)(sequence)],
        by(8),
        by(9),
    )
    with pytest.raises(LostError):
        questions.one(ABOUT_HERE)

    assert way(questions) == 8
    assert way(questions) == 9


def test_an_answer_to_another_question_or_to_another_is_passed_over() -> None:
    """By its number, and by whose it is."""
    questions = asking(
        lambda sequence: [
            *by(7)(sequence - 1),
            *by(7, port=PORT + 1)(sequence),
            *by(8)(sequence),
        ]
    )

    assert way(questions) == 8


def test_a_question_without_an_answer_is_no_answer() -> None:
    """The kernel has said all by the time that one looks."""
    with pytest.raises(LostError):
        asking(lambda _: []).one(ABOUT_HERE)


@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.ENOMEM])
def test_a_kernel_that_cannot_answer_has_not_said_no(code: int) -> None:
    """It says so of itself, not of the network."""
    with pytest.raises(LostError) as raised:
        asking(lambda sequence: [message(layout.ERROR, error(code), sequence, PORT)]).one(
            ABOUT_HERE
        )
    assert raised.value.errno == code


def test_no_route_is_an_answer() -> None:
    """There is none."""
    no = error(errno.ENETUNREACH)

    assert asking(lambda number: [message(layout.ERROR, no, number, PORT)]).one(ABOUT_HERE) is None


def test_a_dump_that_was_interrupted_is_asked_for_again() -> None:
    """Half of it is older than the other half."""
    questions = asking(dump(7, 8, flags=layout.DUMP_INTERRUPTED), dump(7, 9))

    assert numbers(questions) == [7, 9]


def test_a_dump_that_is_interrupted_each_time_is_none() -> None:
    """It is not asked for without end."""
    with pytest.raises(LostError):
        numbers(asking(*[dump(7, flags=layout.DUMP_INTERRUPTED)] * 100))


@pytest.mark.parametrize(
    "replies",
    [
        dump(7, problem=errno.ENOMEM),
        lambda sequence: [message(layout.ERROR, error(errno.ENOMEM), sequence, PORT)],
        lambda sequence: [*dump(7)(sequence)[:1], OSError(errno.ENOMEM, "no memory")],
    ],
    ids=["its last message says so", "a no", "it cannot be received"],
)
def test_a_dump_that_ends_early_is_none_by_its_name(replies: Replies) -> None:
    """Whatever is not in it might be there."""
    with pytest.raises(LostError) as raised:
        numbers(asking(replies))
    assert raised.value.errno == errno.ENOMEM


def test_a_dump_without_its_end_is_none() -> None:
    """It can have been cut anywhere."""
    with pytest.raises(LostError):
        numbers(asking(lambda sequence: dump(7)(sequence)[:1]))


def test_of_a_family_that_the_kernel_does_not_speak_there_is_nothing() -> None:
    """A node without IPv6 has no rules of it."""
    no = error(errno.EAFNOSUPPORT)

    assert numbers(asking(lambda sequence: [message(layout.ERROR, no, sequence, PORT)])) == []
