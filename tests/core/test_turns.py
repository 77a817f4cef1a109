"""Whose turn it is when one pod opens more connections than it needs."""

from ipaddress import ip_address

from rolecall_agent.turns import Turns

POD = ip_address("10.0.0.1")
OTHER = ip_address("10.0.0.2")


class Caller:
    """A connection that only knows whether it may be answered."""

    last_active = 0.0
    is_parked = False

    def __init__(self) -> None:
        self.may_go = True

    def wait_turn(self) -> None:
        self.may_go = False

    def take_turn(self) -> None:
        self.may_go = True

    def retry(self) -> None: ...
    def shut(self) -> None: ...
    def kill(self) -> None: ...


def test_each_pod_has_its_own_line() -> None:
    """Beyond the limit a pod's connections wait; another pod's do not."""
    turns, callers, other = Turns(most=2), [Caller() for _ in range(3)], Caller()
    for caller in callers:
        turns.enter(caller, POD)
    turns.enter(other, OTHER)

    assert [caller.may_go for caller in callers] == [True, True, False]
    assert other.may_go


def test_the_first_in_line_is_the_next() -> None:
    """One goes, one comes."""
    turns, callers = Turns(most=1), [Caller() for _ in range(3)]
    for caller in callers:
        turns.enter(caller, POD)
    turns.leave(callers[0], POD)

    assert [caller.may_go for caller in callers[1:]] == [True, False]


def test_who_leaves_the_line_frees_nothing() -> None:
    """A waiting connection that is closed was nobody's turn."""
    turns, callers = Turns(most=1), [Caller() for _ in range(4)]
    for caller in callers[:3]:
        turns.enter(caller, POD)
    turns.leave(callers[1], POD)
    turns.enter(callers[3], POD)
    waiting = [caller.may_go for caller in callers[2:]]
    turns.leave(callers[0], POD)

    assert waiting == [False, False]
    assert [caller.may_go for caller in callers[2:]] == [True, False]


def test_nothing_is_kept_of_who_has_gone() -> None:
    """After the last connection a pod may open as many as before."""
    turns = Turns(most=1)
    for _ in range(3):
        one, two = Caller(), Caller()
        turns.enter(one, POD)
        turns.enter(two, POD)
        turns.leave(one, POD)
        turns.leave(two, POD)

        assert two.may_go
