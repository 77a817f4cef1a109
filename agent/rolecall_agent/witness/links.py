"""Which links there are, each from its coming to its going.

The kernel gives numbers twice. A link that is moved into a namespace keeps its number wherever that
is free: where a CNI makes a pod's pair of links inside the pod and moves one end out, pods that
follow each other have one and the same. Names and hardware addresses are no better: they are made
of the pod's name, or the same for all. So links are counted as they come. What came while nobody
listened is known by its directory in sysfs, whose inode no other link has until the next boot.
"""

import itertools
from collections.abc import Iterable
from pathlib import Path

from rolecall_agent.witness.observation import LinkId
from rolecall_agent.witness.rtnetlink.messages import Link

BRIDGE = "bridge"
_SYSFS = Path("/sys/class/net")


class Links:
    """The links of this process's namespace, as the kernel's messages tell them."""

    def __init__(self, sysfs: Path = _SYSFS) -> None:
        self.has_ports = False  # Whether some bridge has any.
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
                self._ids[link.number] = LinkId(link.number, self._birth(link), next(self._turns))
        self._count_ports()
        return {each for each in (before, self._ids.get(link.number)) if each is not None}

    def reread(self, links: Iterable[Link]) -> None:
        """Take in all the links that there are; what came of them meanwhile was not heard.

        Those stay the same of which sysfs says so. At the first time they are what an earlier
        process calls them in its state file.
        """
        before, self._known, self._ids = self._ids, {}, {}
        for link in links:
            self._known[link.number] = link
            birth, known = self._birth(link), before.get(link.number)
            if birth and known is not None and known.birth == birth:
                self._ids[link.number] = known
            else:
                first = bool(birth) and not self._has_read
                self._ids[link.number] = LinkId(
                    link.number, birth, 0 if first else next(self._turns)
                )
        self._has_read = True
        self._count_ports()

    def _birth(self, link: Link) -> int:
        """Return what no other link has until the next boot; 0 where that cannot be known.

        Asked after the kernel has told of *link*, it is that of *link* or of a later one. In a
        sysfs of another namespace there is no link of that name, or it has another number.
        """
        place = self._sysfs / link.name
        try:
            if int((place / "ifindex").read_bytes()) != link.number:
                return 0
            return place.stat().st_ino
        except (OSError, ValueError):
            return 0

    def _count_ports(self) -> None:
        bridges = {each.number for each in self._known.values() if each.kind == BRIDGE}
        self.has_ports = any(each.master in bridges for each in self._known.values())
