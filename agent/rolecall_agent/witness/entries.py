"""What is remembered of an address, and what is asked about it. Values without behaviour."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from rolecall_agent.witness.observation import NONE, Doubt, Holder, LinkId, Observation
from rolecall_proto.values import Address, PodUid


@dataclass(frozen=True, slots=True)
class Binding:
    """A pod and the link that was its own."""

    uid: PodUid
    link: LinkId


@dataclass(slots=True)
class Entry:
    """All that is known of one address."""

    observation: Observation = NONE
    since: int = 0  # When it came to be seen so, in the order of what we were told.
    seen_at: float = 0.0  # The same, in time.
    clear_at: float = 0.0  # Until then somebody may have been here of whom we do not know.
    changes: int = 0
    binding: Binding | None = None
    had_link: bool = False
    claimants: frozenset[PodUid] = frozenset()
    named_at: dict[PodUid, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Query:
    """Pods that are to be read anew, and what they are wanted for."""

    uids: tuple[PodUid, ...]
    # The addresses in doubt, each as it was when the question was made.
    _changes: Mapping[Address, int]

    def changes_at(self, address: Address) -> int:
        return self._changes.get(address, -1)

    @property
    def addresses(self) -> Collection[Address]:
        return self._changes.keys()


NO_QUERY = Query((), {})


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
