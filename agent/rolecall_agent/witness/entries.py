"""What is remembered of an address, and what is asked about it. Values without behaviour."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rolecall_agent.witness.observation import NONE, Doubt, Holder, LinkId, Observation
from rolecall_proto.values import Address, PodUid

LONG_AGO = datetime.min.replace(tzinfo=UTC)
# Who has an address, as the server says, and when each last started: see `Assignment.started_at`.
Claims = Mapping[PodUid, datetime | None]


@dataclass(frozen=True, slots=True)
class Binding:
    """A pod and the link that was its own."""

    uid: PodUid
    link: LinkId


@dataclass(frozen=True, slots=True)
class Rival:
    """A link that had an address, and has it no more: whose it was, if known, and until when."""

    uid: PodUid | None
    until: datetime


@dataclass(slots=True)
class Entry:
    """All that is known of one address."""

    observation: Observation = NONE
    # Until then links may have had it that are not among *rivals*.
    unseen_until: datetime = LONG_AGO
    rivals: dict[LinkId, Rival] = field(default_factory=dict)  # The latest ones, in order.
    rivals_until: datetime = LONG_AGO  # Of those that are not remembered one by one.
    binding: Binding | None = None
    had_link: bool = False
    claims: Claims = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Query:
    """Pods that are to be read anew, and the addresses that they are wanted for."""

    uids: tuple[PodUid, ...] = ()
    addresses: tuple[Address, ...] = ()


NO_QUERY = Query()


@dataclass(frozen=True, slots=True)
class Statistics:
    """How the addresses of living pods stand, and what has happened; for metrics."""

    confirmed: int = 0
    suspended: int = 0
    unwitnessed: int = 0
    suspensions: int = 0  # Ever.

    @classmethod
    def of(cls, holders: Iterable[Holder], suspensions: int) -> "Statistics":
        kinds = Counter(each if isinstance(each, Doubt) else None for each in holders)
        return cls(
            confirmed=kinds[None],
            suspended=kinds[Doubt.SUSPENDED],
            unwitnessed=kinds[Doubt.UNWITNESSED] + kinds[Doubt.ACCEPTED],
            suspensions=suspensions,
        )


NONE_YET = Statistics()
