"""When what was lost is read anew."""

from rolecall_agent.witness.extent import Extent
from rolecall_agent.witness.rereads import PAUSES, Rereads

ALL, BRIDGES = Extent.EVERYTHING, Extent.BRIDGES


def read(now: float = 0.0) -> Rereads:
    """Return those of a witness that has read everything at *now*."""
    made = Rereads()
    made.begin(now)
    made.succeed()
    return made


def test_at_the_start_everything_is_owed_at_once() -> None:
    """Nothing is known."""
    made = Rereads()

    assert (made.owed, made.moment()) == (ALL, 0.0)


def test_what_is_lost_is_owed_until_it_was_read() -> None:
    """A try that fails changes nothing, but when the next one may come."""
    made = read()
    made.lose(ALL, "for a test", 9.0)
    assert (made.owed, made.moment()) == (ALL, PAUSES[ALL])
    made.begin(10.0)
    assert (made.owed, made.moment()) == (ALL, 10.0 + PAUSES[ALL])
    made.succeed()

    assert (made.owed, made.moment()) == (Extent.NOTHING, None)


def test_everything_is_read_once_a_second_however_often_it_is_lost() -> None:
    """It takes a tenth of that where there are many routes."""
    made = read(now=5.0)
    for _ in range(15):
        made.lose(ALL, "for a test", 5.1)

    assert made.moment() == 6.0
    assert made.losses == {ALL: 15}


def test_everything_holds_what_is_behind_bridges() -> None:
    """In whatever order they were lost."""
    for order in ((ALL, BRIDGES), (BRIDGES, ALL)):
        made = read()
        for each in order:
            made.lose(each, "for a test", 1.0)
        assert made.owed is ALL


def test_what_is_behind_bridges_is_read_more_often() -> None:
    """It is little, and any pod of a bridge can have it be lost."""
    made = read()
    made.lose(BRIDGES, "for a test", 1.0)
    made.begin(1.0)
    made.succeed()
    made.lose(BRIDGES, "for a test", 1.0)
    assert made.moment() == 1.0 + PAUSES[BRIDGES]
    made.lose(ALL, "for a test", 1.0)

    assert made.moment() == PAUSES[ALL]
