"""Whose turn it is when one pod opens more connections, or asks more, than it needs."""

import math
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address

from rolecall_agent.http.connection_limits import ConnectionLimits
from rolecall_agent.http.fair_queue import FairQueue
from rolecall_agent.http.timeouts import SPACING, Timeouts

POD = ip_address("10.0.0.1")
OTHER = ip_address("10.0.0.2")
THIRD = ip_address("10.0.0.3")


class Caller:
    """A connection that only knows whether it may be answered."""

    def __init__(self, due: float = math.inf) -> None:
        self.may_go = True
        self.is_alive = True
        self.is_idle = False
        self.due = due
        self.on_turn: Callable[[], None] = lambda: None

    def queue(self) -> None:
        self.may_go = False

    def start(self) -> None:
        self.may_go = True

    def go_on(self) -> None:
        self.on_turn()

    def retry(self) -> None: ...
    def close(self) -> None: ...

    def abort(self) -> None:
        self.is_alive, self.due = False, math.inf


class Loop:
    """A loop that a test turns by hand."""

    def __init__(self) -> None:
        self.moment = 0.0
        self.soon: list[Callable[[], None]] = []
        self.timers: list[Loop.Timer] = []

    class Timer:
        def __init__(self, moment: float, call: Callable[[], None]) -> None:
            self.moment, self.call, self.is_cancelled = moment, call, False

        def cancel(self) -> None:
            self.is_cancelled = True

    def time(self) -> float:
        return self.moment

    def call_soon(self, call: Callable[[], None]) -> None:
        self.soon.append(call)

    def call_at(self, moment: float, call: Callable[[], None]) -> "Loop.Timer":
        self.timers.append(Loop.Timer(moment, call))
        return self.timers[-1]

    def turn(self) -> None:
        calls, self.soon = self.soon, []
        for call in calls:
            call()

    def run_to(self, moment: float) -> None:
        """Fire every timer that is due by *moment*, each at its own time."""
        while due := [each for each in self.timers if each.moment <= moment]:
            first = min(due, key=lambda timer: timer.moment)
            self.timers.remove(first)
            if not first.is_cancelled:
                self.moment = max(self.moment, first.moment)
                first.call()
        self.moment = moment


def entered(limits: ConnectionLimits, count: int, address: object = POD) -> list[Caller]:
    callers = [Caller() for _ in range(count)]
    for caller in callers:
        assert limits.add(caller, address)
    return callers


def test_each_pod_has_its_own_line() -> None:
    """Beyond the limit a pod's connections wait; another pod's do not."""
    limits = ConnectionLimits(at_once=2)
    callers, [other] = entered(limits, 3), entered(limits, 1, OTHER)

    assert [caller.may_go for caller in callers] == [True, True, False]
    assert other.may_go
    assert (len(limits), set(limits)) == (4, {*callers, other})


def test_the_first_in_line_is_the_next() -> None:
    """One goes, one comes."""
    limits = ConnectionLimits(at_once=1)
    callers = entered(limits, 3)
    limits.remove(callers[0], POD)

    assert [caller.may_go for caller in callers[1:]] == [True, False]


def test_who_leaves_the_line_frees_nothing() -> None:
    """A waiting connection that is closed was nobody's turn."""
    limits = ConnectionLimits(at_once=1)
    callers = entered(limits, 3)
    limits.remove(callers[1], POD)
    callers += entered(limits, 1)
    waiting = [caller.may_go for caller in callers[2:]]
    limits.remove(callers[0], POD)

    assert waiting == [False, False]
    assert [caller.may_go for caller in callers[2:]] == [True, False]


def test_nothing_is_kept_of_who_has_gone() -> None:
    """After the last connection a pod may open as many as before."""
    limits = ConnectionLimits(at_once=1, queued=1)
    for _ in range(3):
        one, two = entered(limits, 2)
        limits.remove(one, POD)
        limits.remove(two, POD)

        assert two.may_go
        assert (len(limits), list(limits)) == (0, [])


def test_a_line_has_an_end() -> None:
    """There is no place for one more of that pod, and there is for others."""
    limits = ConnectionLimits(at_once=1, queued=2)
    callers = entered(limits, 3)
    one_more = limits.add(Caller(), POD)
    entered(limits, 1, OTHER)
    limits.remove(callers[1], POD)
    entered(limits, 1)

    assert not one_more
    assert len(limits) == 4


def test_who_never_had_a_place_gives_up_none() -> None:
    """It leaves all the same, when its connection is closed."""
    limits, stranger = ConnectionLimits(at_once=1, queued=0), Caller()
    [caller] = entered(limits, 1)
    limits.add(stranger, POD)
    limits.remove(stranger, POD)
    limits.remove(stranger, OTHER)

    assert list(limits) == [caller]


def test_when_all_places_are_taken_who_has_most_gives_one_up() -> None:
    """Its newest connection, of its line first; who has few never pays for who has many."""
    limits = ConnectionLimits(at_once=2, queued=9, in_all=6)
    many, few = entered(limits, 5), entered(limits, 1, OTHER)
    few += entered(limits, 1, OTHER)
    few += entered(limits, 1, THIRD)

    assert [caller.is_alive for caller in many] == [True, True, True, False, False]
    assert all(caller.is_alive for caller in few)
    assert len(limits) == 6


def test_who_has_most_takes_no_place_of_others() -> None:
    """Nor do two that have the same take each other's in turn."""
    limits = ConnectionLimits(at_once=9, in_all=4)
    one, two = entered(limits, 2), entered(limits, 2, OTHER)

    assert not limits.add(Caller(), POD)
    assert not limits.add(Caller(), OTHER)
    assert all(caller.is_alive for caller in one + two)


def test_a_share_is_had_in_each_turn_of_the_loop() -> None:
    """What is more waits for the next turn, and others have a share of their own."""
    loop, one, other = Loop(), Caller(), Caller()
    queue = FairQueue(loop, share=2)
    first = [queue.admit(one, POD) for _ in range(3)]
    others = queue.admit(other, OTHER)
    loop.turn()
    second = [queue.admit(one, POD) for _ in range(3)]

    assert (first, others, second) == ([True, True, False], True, [True, True, False])


def test_the_connections_of_a_pod_go_on_in_turn() -> None:
    """Who has had a share stands at the end of its pod's line with what is left."""
    loop, answered = Loop(), ""
    queue, left = FairQueue(loop, share=2), {Caller(): name * 3 for name in "abc"}

    def ask(caller: Caller) -> None:
        nonlocal answered
        while left[caller] and queue.admit(caller, POD):
            answered += left[caller][0]
            left[caller] = left[caller][1:]

    for caller in left:
        caller.on_turn = partial(ask, caller)
        ask(caller)
    while loop.soon:
        answered += "|"
        loop.turn()

    assert answered == "aa|ab|cc|bb|c|"


def test_who_has_left_is_not_called_again() -> None:
    """A closed connection has nothing to go on with."""
    loop, caller, called = Loop(), Caller(), []
    queue = FairQueue(loop, share=1)
    caller.on_turn = lambda: called.append(caller)
    for _ in range(2):
        queue.admit(caller, POD)
    queue.remove(caller)
    queue.remove(Caller())
    loop.turn()

    assert called == []


def test_a_deadline_ends_on_time() -> None:
    """However often it was put off, and whatever the others' are."""
    loop = Loop()
    callers = [Caller(due=75.0), Caller(due=75.0), Caller(due=5.0)]
    timeouts = Timeouts(loop, callers)
    for caller in callers:
        timeouts.watch(caller.due)
    callers[0].due = 76.0  # It was active a second later, and told nobody.
    dead = []
    for moment in (4.99, 5.0 + SPACING, 74.99, 75.0 + SPACING, 75.99, 76.0 + SPACING):
        loop.run_to(moment)
        dead.append([not caller.is_alive for caller in callers])

    assert dead == [
        [False, False, False],
        [False, False, True],
        [False, False, True],
        [False, True, True],
        [False, True, True],
        [True, True, True],
    ]
    assert [timer for timer in loop.timers if not timer.is_cancelled] == []


def test_a_nearer_deadline_comes_first() -> None:
    """A client that begins a head has less time than it had before."""
    loop, caller = Loop(), Caller(due=75.0)
    timeouts = Timeouts(loop, [caller])
    timeouts.watch(75.0)
    caller.due = 5.0
    timeouts.watch(5.0)
    loop.run_to(5.0)

    assert not caller.is_alive


def test_who_waits_for_us_has_no_deadline() -> None:
    """And nobody looks while all do."""
    loop, caller = Loop(), Caller(due=5.0)
    timeouts = Timeouts(loop, [caller])
    timeouts.watch(5.0)
    caller.due = math.inf
    loop.run_to(1000.0)

    assert caller.is_alive
    assert loop.timers == []
