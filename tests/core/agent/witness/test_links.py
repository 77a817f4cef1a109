"""Which link is which, where the kernel gives numbers, names and hardware addresses twice."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fakes.clock import FakeClock
from rolecall_agent.witness.links import Links
from rolecall_agent.witness.observation import LinkId
from rolecall_agent.witness.rtnetlink.messages import Link, OwnAddress

CLOCK = FakeClock()
POD = Link(5, "cali12", "veth")
GONE = Link(5, "cali12", "veth", gone=True)


class Sysfs:
    """A directory for each link, as the kernel has them under /sys/class/net."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._made = 0

    def put(self, link: Link = POD, number: int | None = None) -> int:
        """Make the directory of *link*, in the place of what was there; return its inode."""
        self._made += 1
        made = self.root.parent / f"made-{self._made}"  # None is removed, so that no inode returns.
        made.mkdir()
        (made / "ifindex").write_text(f"{link.number if number is None else number}\n")
        (self.root / link.name).unlink(missing_ok=True)
        (self.root / link.name).symlink_to(made)
        return made.stat().st_ino


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    (tmp_path / "net").mkdir()
    return Sysfs(tmp_path / "net")


def at(sysfs: Sysfs) -> LinkId:
    """Return which link an agent that starts now finds."""
    links = Links(CLOCK, sysfs.root)
    links.reread([POD])
    return seen(links)


def seen(links: Links) -> LinkId:
    found = links.id(POD.number)
    assert found is not None
    return found


def test_a_link_stays_the_same_however_it_changes(sysfs: Sysfs) -> None:
    """It is let down, led to a bridge, or given another name."""
    sysfs.put()
    links = Links(CLOCK, sysfs.root)
    links.learn(POD)
    before = seen(links)

    assert links.learn(Link(5, "other", "veth", master=3, up=True)) == {before}
    assert seen(links) == before


def test_a_link_that_came_after_another_had_gone_is_another(sysfs: Sysfs) -> None:
    """With its number, name and kind: for both have to be looked at again."""
    sysfs.put()
    links = Links(CLOCK, sysfs.root)
    links.learn(POD)
    before = seen(links)
    links.learn(GONE)
    assert links.id(POD.number) is None
    sysfs.put()
    links.learn(POD)

    assert seen(links) != before


def test_what_was_heard_is_believed_whatever_sysfs_says(sysfs: Sysfs) -> None:
    """It went and came: also where there is no sysfs, or always the same one."""
    for _ in range(2):
        links = Links(CLOCK, sysfs.root)
        links.reread([POD])
        before = seen(links)
        links.learn(GONE)
        links.learn(POD)
        assert seen(links) != before
        sysfs.put()


def test_what_is_heard_again_is_nothing_new(sysfs: Sysfs) -> None:
    """The kernel repeats itself."""
    links = Links(CLOCK, sysfs.root)
    links.learn(POD)

    assert links.learn(POD) == set()


def test_after_lost_news_a_link_is_the_same_where_sysfs_says_so(sysfs: Sysfs) -> None:
    """Not by number and name alone."""
    sysfs.put()
    links = Links(CLOCK, sysfs.root)
    links.learn(POD)
    before = seen(links)
    links.reread([POD])
    assert seen(links) == before

    sysfs.put()
    links.reread([POD])
    assert seen(links) != before


def test_after_lost_news_no_link_is_the_same_without_sysfs(sysfs: Sysfs) -> None:
    """Nothing proves it, and so each is doubted."""
    links = Links(CLOCK, sysfs.root)
    links.learn(POD)
    before = seen(links)
    links.reread([POD])

    assert seen(links) != before


def test_a_restarted_agent_knows_the_link_that_another_has_recorded(sysfs: Sysfs) -> None:
    """By what is recorded of it: its number and its inode."""
    inode = sysfs.put()
    assert at(sysfs) == LinkId(5, inode)

    sysfs.put()
    assert at(sysfs) != LinkId(5, inode)


@pytest.mark.parametrize("number", [None, 6])
def test_a_restarted_agent_knows_no_link_without_its_sysfs(
    sysfs: Sysfs, number: int | None
) -> None:
    """There is none, or that of another namespace, where the name is another link's."""
    if number is not None:
        sysfs.put(number=number)

    assert at(sysfs).inode == 0
    assert at(sysfs) != LinkId(5, 0)


def test_a_link_without_a_name_has_no_directory(sysfs: Sysfs) -> None:
    """Else all of them would have the one of all."""
    links = Links(CLOCK, sysfs.root)
    links.reread([Link(5)])

    assert seen(links).inode == 0


def test_ports_are_counted(sysfs: Sysfs) -> None:
    """For connections behind a bridge can change hands while they are open."""
    links = Links(CLOCK, sysfs.root)
    links.reread([Link(3, "cni0", "bridge"), POD])
    assert not links.has_ports
    links.learn(Link(5, "cali12", "veth", master=3))
    assert links.has_ports
    links.learn(GONE)
    assert not links.has_ports


def test_a_link_was_born_when_it_was_heard_of_at_the_latest(sysfs: Sysfs) -> None:
    """Or when somebody had looked at its directory before, as a node's udev does."""
    links = Links(CLOCK, sysfs.root)
    links.learn(POD)
    assert seen(links).born_at == CLOCK.now()

    looked_at = CLOCK.now() - timedelta(seconds=2)
    sysfs.put()
    os.utime(sysfs.root / POD.name, (0, looked_at.timestamp()))
    links.learn(GONE)
    links.learn(POD)
    assert seen(links).born_at == looked_at


def test_a_link_that_is_found_was_born_before_its_addresses(sysfs: Sysfs) -> None:
    """They are dated by the kernel, in ticks since its start."""
    up = 5000.0
    own = [OwnAddress(5, timedelta(seconds=each)) for each in (4000, 3000.25)]
    links = Links(CLOCK, sysfs.root, uptime=lambda: up)
    links.reread([POD], [*own, OwnAddress(6, timedelta(seconds=1))])

    age = CLOCK.now() - seen(links).born_at
    assert timedelta(seconds=1999.6) < age <= timedelta(seconds=1999.75)


def test_a_link_that_was_heard_of_late_is_dated_later(sysfs: Sysfs) -> None:
    """By its addresses; it is the same one, and never gets any younger by them."""
    links = Links(CLOCK, sysfs.root, uptime=lambda: 100.0)
    links.learn(POD)
    before = seen(links)
    links.date([OwnAddress(5, timedelta(seconds=200))])
    assert seen(links).born_at == before.born_at

    links.date([OwnAddress(5, timedelta(seconds=95))])
    assert seen(links) == before
    assert CLOCK.now() - seen(links).born_at == timedelta(seconds=4.9)


def test_what_was_heard_of_a_birth_stays(sysfs: Sysfs) -> None:
    """Whatever is found of the link later: it cannot have come any later than that."""
    sysfs.put()
    links = Links(CLOCK, sysfs.root)
    links.learn(POD)
    before = seen(links).born_at
    os.utime(sysfs.root / POD.name, (0, datetime(2100, 1, 1, tzinfo=UTC).timestamp()))
    links.reread([POD])

    assert seen(links).born_at == before
