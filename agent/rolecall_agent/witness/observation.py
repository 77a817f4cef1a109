"""What the kernel says of an address, and whom it vouches for."""

import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rolecall_agent.witness.extent import Extent
from rolecall_proto.values import Address, PodUid

# A link of which nothing is known came after everything.
NEVER = datetime.max.replace(tzinfo=UTC)


class Way(enum.StrEnum):
    """How an address is reached on this node."""

    ROUTE = "route"  # A route of its own, by a link that leads to one network namespace.
    BRIDGE = "bridge"  # The port of a bridge, by what hosts say of themselves.
    SILENT = "silent"  # By a bridge, and nothing was heard of it: no connection can be open.
    NONE = "none"  # Neither: a tunnel, an overlay, the node itself, or no route at all.


@dataclass(frozen=True, slots=True)
class LinkId:
    """One link, from its coming to its going: see `links`.

    The kernel gives *number* to a later link, too. No later one has the same *inode*, which is 0
    where it is not known, and *turn*, which is 0 for what was there before anybody listened.
    *born_at* says of it, by this node's clock, when it was there at the latest.
    """

    number: int
    inode: int
    turn: int = 0
    born_at: datetime = field(default=NEVER, compare=False)


@dataclass(frozen=True, slots=True)
class Observation:
    """Where an address is now."""

    way: Way
    link: LinkId | None = None  # There where, and only where, one link is the way.

    @property
    def is_behind_bridge(self) -> bool:
        """Whether it is known by what hosts say of themselves."""
        return self.way in (Way.BRIDGE, Way.SILENT)

    def is_within(self, extent: Extent) -> bool:
        """Whether it is not known any more where *extent* is not."""
        return extent is Extent.EVERYTHING or (extent is Extent.BRIDGES and self.is_behind_bridge)


NONE = Observation(Way.NONE)
SILENT = Observation(Way.SILENT)


class Doubt(enum.StrEnum):
    """Why nobody is vouched for at an address."""

    SUSPENDED = "suspended"  # Its link has changed, or is too new: a request waits.
    UNWITNESSED = "unwitnessed"  # There is no link of its own: refused.
    ACCEPTED = "accepted"  # As above, and the operator has it served all the same.


Holder = PodUid | Doubt


class Holders(dict[Address, Holder]):
    """Whom each address stands for, and how often that has changed: equal numbers, equal holders.

    It is changed by one item at a time, and in no other way.
    """

    changes = 0

    def __setitem__(self, address: Address, holder: Holder) -> None:
        self.changes += 1
        super().__setitem__(address, holder)

    def __delitem__(self, address: Address) -> None:
        self.changes += 1
        super().__delitem__(address)
