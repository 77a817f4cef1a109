"""So many values, each for so long, whatever the clock does."""

from datetime import timedelta

from fakes.clock import START
from rolecall_server.kube.auth.ttl_cache import TtlCache

SECOND = timedelta(seconds=1)


def test_of_too_many_the_one_that_was_not_used_is_forgotten() -> None:
    """The memory is bounded, and what is asked for stays."""
    cache: TtlCache[int, str] = TtlCache(2)
    cache.put(1, "a", START, START + SECOND)
    cache.put(2, "b", START, START + SECOND)
    cache.get(1, START)
    cache.put(3, "c", START, START + SECOND)

    assert [cache.get(each, START) for each in (1, 2, 3)] == ["a", None, "c"]
    assert cache.get(1, START + SECOND) is None
    assert len(cache) == 1


def test_a_clock_that_is_set_back_prolongs_no_memory() -> None:
    """What was good for a second is not good for an hour and a second."""
    cache: TtlCache[int, str] = TtlCache(2)
    cache.put(1, "a", START, START + SECOND)

    assert cache.get(1, START - timedelta(hours=1)) is None
