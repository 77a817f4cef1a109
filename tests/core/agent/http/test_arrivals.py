"""Who is taken up next of those who have come, when one source has sent most of them."""

from rolecall_agent.http.arrivals import Arrivals


def arrived(arrivals: Arrivals[str], source: str, count: int, most: int = 99) -> list[str | None]:
    return [arrivals.add(f"{source}{number}", source, most) for number in range(count)]


def test_each_source_has_its_share_of_a_round() -> None:
    """In the order they came, however many one of them has sent."""
    arrivals: Arrivals[str] = Arrivals(99)
    arrived(arrivals, "a", 5)
    arrived(arrivals, "b", 1)
    rounds = [arrivals.take(2) for _ in range(4)]

    assert rounds == [["a0", "a1", "b0"], ["a2", "a3"], ["a4"], []]
    assert len(arrivals) == 0


def test_a_source_has_no_more_than_it_may() -> None:
    """The newest goes, and who waits already stays."""
    arrivals: Arrivals[str] = Arrivals(99)

    assert arrived(arrivals, "a", 3, most=2) == [None, None, "a2"]
    assert arrived(arrivals, "b", 1, most=0) == ["b0"]
    assert arrivals.take(99) == ["a0", "a1"]


def test_where_all_places_are_taken_who_has_most_gives_one_up() -> None:
    """Who has few never pays for who has many."""
    arrivals: Arrivals[str] = Arrivals(3)
    arrived(arrivals, "a", 3)

    assert arrived(arrivals, "b", 1) == ["a2"]
    assert arrived(arrivals, "a", 1) == ["a0"]
    assert (arrivals.take(99), len(arrivals)) == (["a0", "a1", "b0"], 0)
