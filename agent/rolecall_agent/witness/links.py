"""Which links there are, each from its coming to its going.

The kernel gives numbers twice. A link that is moved into a namespace keeps its number wherever that
is free: where a CNI makes a pod's pair of links inside the pod and moves one end out, pods that
follow each other have one and the same. Names and hardware addresses are no better: they are made
of the pod's name, or the same for all. So links are counted as they come. What came while nobody
listened is known by its directory in sysfs, whose inode no other link has until the next boot.

When a link was born nobody says; but it was there when it was heard of, when anybody first looked
at its directory, and when an address was put on it: the earliest of these is not before its birth.
"""

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rolecall_agent.witness.observation import LinkId
from rolecall_agent.witness.rtnetlink.messages import Link, OwnAddress
from rolecall_common.clock import Clock

BRIDGE = "bridge"
_SYSFS = Path("/sys/class/net")
# The kernel counts what it dates in ticks of 10 ms at most, and not with its clock quite.
_TICKS = timedelta(seconds=0.1)


class Links:
    """The links of this process's namespace, as the kernel's messages tell them."""

    def __init__(
        self,
        clock: Clock,
        sysfs: Path = _SYSFS,
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        """*uptime* is that of the kernel in seconds, by which it dates addresses."""
        self.bridges: frozenset[int] = frozenset()  # Those that have ports.
        self._clock = clock
        self._uptime = uptime
        self._sysfs = sysfs
        self._turns = itertools.count(1)
        self._known: dict[int, Link] = {}
        self._ids: dict[int, LinkId] = {}
        self._has_read = False

    @property
    def known(self) -> Iterable[Link]:
        return self._known.values()

    @property
    def ids(self) -> Iterable[LinkId]:
        return self._ids.values()

    @property
    def has_ports(self) -> bool:
        """Whether some bridge has any."""
        return bool(self.bridges)

    def get(self, number: int) -> Link | None:
        return self._known.get(number)

    def id(self, number: int) -> LinkId | None:
        """Return which link has *number* now."""
        return self._ids.get(number)

    def learn(self, link: Link) -> set[LinkId]:
        """Take in what was heard of a link; return the links that are not as they were."""
        known, before = self._known.get(link.number), self._ids.get(link.number)
        if link.gone:
            self._known.pop(link.number, None)
            self._ids.pop(link.number, None)
        elif known == link:
            return set()
        else:
            self._known[link.number] = link
            if before is None:
                inode, born_at = self._look(link)
                self._ids[link.number] = LinkId(link.number, inode, next(self._turns), born_at)
        self._count_ports()
        return {each for each in (before, self._ids.get(link.number)) if each is not None}

    def reread(self, links: Iterable[Link], own: Iterable[OwnAddress] = ()) -> None:
        """Take in all the links that there are; what came of them meanwhile was not heard.

        Those stay the same of which sysfs says so. At the first time they are what an earlier
        process calls them in its state file. *own* tells of addresses that are on them.
        """
        before, self._known, self._ids = self._ids, {}, {}
        for link in links:
            number = link.number
            self._known[number] = link
            (inode, born_at), known = self._look(link), before.get(number)
            if inode and known is not None and known.inode == inode:
                self._ids[number] = known
            else:
                turn = 0 if inode and not self._has_read else next(self._turns)
                self._ids[number] = LinkId(number, inode, turn, born_at)
        self._has_read = True
        self._count_ports()
        self.date(own)

    def date(self, own: Iterable[OwnAddress]) -> None:
        """Take in when addresses were put on links: each link was there by then."""
        started_at = self._clock.now() - timedelta(seconds=self._uptime()) + _TICKS
        for each in own:
            known, put_at = self._ids.get(each.link), started_at + each.put_at
            if known is not None and put_at < known.born_at:
                self._ids[each.link] = replace(known, born_at=put_at)

    def _look(self, link: Link) -> tuple[int, datetime]:
        """Return an inode that no other link has until the next boot, and when *link* was there.

        The inode is 0 where it cannot be known. Asked after the kernel has told of *link*, it is
        that of *link* or of a later one. In a sysfs of another namespace there is no link of that
        name, or it has another number.
        """
        place, now = self._sysfs / link.name, self._clock.now()
        try:
            if int((place / "ifindex").read_bytes()) != link.number:
                return 0, now
            found = place.stat()
        except (OSError, ValueError):
            return 0, now
        return found.st_ino, min(now, datetime.fromtimestamp(found.st_mtime, UTC))

    def _count_ports(self) -> None:
        bridges = {each.number for each in self._known.values() if each.kind == BRIDGE}
        self.bridges = frozenset(bridges & {each.master for each in self._known.values()})
