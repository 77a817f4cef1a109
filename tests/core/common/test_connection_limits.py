"""Whose connection gives way where a port that everybody reaches has more than it needs."""

from rolecall_common.connection_limits import ConnectionLimits

POD, OTHER, SCRAPER, NODE = "10.0.0.1", "10.0.0.2", "10.0.9.9", "192.0.2.1"


class Caller:
    """A connection that only knows whether it was dropped."""

    def __init__(self) -> None:
        self.is_open = True

    def abort(self) -> None:
        self.is_open = False


def admitted(
    limits: ConnectionLimits, count: int, address: str, *, is_own: bool = False
) -> list[Caller]:
    """Let *count* in, and return those that were."""
    callers = [Caller() for _ in range(count)]
    return [each for each in callers if limits.admit(each, address, is_own=is_own)]


def open_of(callers: list[Caller]) -> list[bool]:
    return [each.is_open for each in callers]


def test_one_address_has_some_places() -> None:
    """What it opens beyond them has none; what it has stays, and others have their own."""
    limits = ConnectionLimits(of_one=2)
    pod, other = admitted(limits, 5, POD), admitted(limits, 1, OTHER)

    assert open_of(pod) == [True, True]
    assert open_of(other) == [True]
    assert list(limits) == pod + other


def test_who_has_most_gives_way() -> None:
    """Its oldest connection, to whoever has fewer."""
    limits = ConnectionLimits(in_all=4, of_one=3)
    pod, other = admitted(limits, 3, POD), admitted(limits, 1, OTHER)
    scraper = admitted(limits, 1, SCRAPER)

    assert open_of(pod) == [False, True, True]
    assert open_of(other + scraper) == [True, True]
    assert admitted(limits, 1, POD) == []


def test_where_all_have_one_the_oldest_gives_way() -> None:
    """Many addresses keep nobody out who comes for one answer."""
    limits = ConnectionLimits(in_all=3)
    [first], [second], [third] = (admitted(limits, 1, f"10.0.1.{number}") for number in range(3))
    [scraper] = admitted(limits, 1, SCRAPER)

    assert open_of([first, second, third, scraper]) == [False, True, True, True]
    assert list(limits) == [second, third, scraper]


def test_the_nodes_own_places_are_nobody_elses() -> None:
    """Its kubelet has an answer whoever else is connected, and takes nobody's place."""
    limits = ConnectionLimits(in_all=2, of_one=2)
    pod = admitted(limits, 9, POD)
    kubelet = admitted(limits, 3, NODE, is_own=True)

    assert open_of(pod + kubelet) == [True] * 5


def test_the_nodes_own_places_have_an_end() -> None:
    """The oldest of them gives way: whoever runs there may be broken, too."""
    limits = ConnectionLimits(of_own=2)
    own = admitted(limits, 3, NODE, is_own=True)

    assert open_of(own) == [False, True, True]
    assert list(limits) == own[1:]


def test_nothing_is_kept_of_who_has_gone() -> None:
    """By itself, or dropped: its place is free, once."""
    limits = ConnectionLimits(in_all=2, of_one=1, of_own=1)
    for _ in range(3):
        [pod], [other] = admitted(limits, 1, POD), admitted(limits, 1, OTHER)
        [scraper] = admitted(limits, 1, SCRAPER)
        own = admitted(limits, 2, NODE, is_own=True)
        for each, address in [(pod, POD), (other, OTHER), (scraper, SCRAPER)]:
            limits.release(each, address)
        for each in own:
            limits.release(each, NODE)

        assert list(limits) == []


def test_who_was_never_in_takes_nobody_along() -> None:
    """It leaves all the same, when its connection is closed."""
    limits = ConnectionLimits(of_one=1)
    [pod] = admitted(limits, 1, POD)
    stranger = Caller()
    limits.admit(stranger, POD, is_own=False)
    limits.release(stranger, POD)
    limits.release(stranger, "")

    assert list(limits) == [pod]
