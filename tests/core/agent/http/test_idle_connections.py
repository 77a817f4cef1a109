"""A connection on which nothing is asked keeps no other one out."""

from core.agent.http.test_connection_limits import OTHER, POD, THIRD, Caller, Loop, entered
from rolecall_agent.http.connection_limits import ConnectionLimits
from rolecall_agent.http.idle_eviction import SPACING, IdleEviction


def alive(callers: list[Caller]) -> list[bool]:
    return [caller.is_alive for caller in callers]


def test_the_newest_pushes_out_the_oldest_idle_one() -> None:
    """Nobody of the pod waits, and who is being answered stays."""
    limits = ConnectionLimits(at_once=3)
    callers = entered(limits, 3)
    callers[1].is_idle = callers[2].is_idle = True
    [newest] = entered(limits, 1)

    assert alive(callers) == [True, False, True]
    assert newest.may_go
    assert set(limits) == {callers[0], callers[2], newest}


def test_an_only_idle_one_gives_up_its_place_too() -> None:
    """The pod's place is as good as new then."""
    limits = ConnectionLimits(at_once=1, queued=0)
    [idle] = entered(limits, 1)
    idle.is_idle = True
    [newest] = entered(limits, 1)

    assert (idle.is_alive, limits.of(POD)) == (False, [newest])


def test_while_there_is_room_idle_ones_stay() -> None:
    """A pod's and all pods' together: keep-alive is what they are for."""
    limits = ConnectionLimits(at_once=3, in_all=4)
    callers = entered(limits, 2)
    for caller in callers:
        caller.is_idle = True
    callers += [*entered(limits, 1), *entered(limits, 1, OTHER)]

    assert all(alive(callers))


def test_where_none_is_idle_the_newest_waits_until_one_is() -> None:
    """It is looked at again and again, and no more once nobody waits."""
    loop, limits = Loop(), ConnectionLimits(at_once=2)
    eviction = IdleEviction(loop, limits)
    eviction.watch()
    unneeded = list(loop.timers)
    callers = entered(limits, 4)
    eviction.watch()
    loop.run_to(SPACING)
    waiting = [caller.may_go for caller in callers[2:]]
    callers[1].is_idle = True
    loop.run_to(2 * SPACING)
    one_waits = [caller.may_go for caller in callers[2:]]
    callers[0].is_idle = True
    loop.run_to(3 * SPACING)

    assert (unneeded, waiting, one_waits) == ([], [False, False], [True, False])
    assert alive(callers) == [False, False, True, True]
    assert [caller.may_go for caller in callers[2:]] == [True, True]
    assert (loop.timers, limits.crowded) == ([], set())


def test_who_waits_is_forgotten_when_it_goes() -> None:
    """Nobody's place is looked at for it."""
    loop, limits = Loop(), ConnectionLimits(at_once=1)
    eviction = IdleEviction(loop, limits)
    [busy, waiting] = entered(limits, 2)
    eviction.watch()
    limits.remove(waiting, POD)
    busy.is_idle = True
    loop.run_to(SPACING)

    assert busy.is_alive
    assert loop.timers == []


def test_when_all_places_are_taken_an_idle_one_of_who_has_most_is_given_up() -> None:
    """What is being answered stays, however new it is."""
    limits = ConnectionLimits(in_all=4)
    many, few = entered(limits, 3), entered(limits, 1, OTHER)
    many[1].is_idle = few[0].is_idle = True
    entered(limits, 1, THIRD)

    assert alive(many + few) == [True, False, True, True]


def test_who_has_most_of_all_places_pushes_out_an_idle_one_of_its_own() -> None:
    """Never one of those who have fewer."""
    limits = ConnectionLimits(in_all=4)
    many, few = entered(limits, 3), entered(limits, 1, OTHER)
    few[0].is_idle = True
    refused = limits.add(Caller(), POD)
    many[2].is_idle = True
    entered(limits, 1)

    assert not refused
    assert alive(many + few) == [True, True, False, True]
