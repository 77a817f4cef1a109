"""Whose turn it is: what is ready, in fair shares of those who need it."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import NamedTuple

from rolecall_proto.values import SessionId
from rolecall_server.credentials.call_rates import Scope
from rolecall_server.credentials.heap import KeyedHeap

# Where an identity stands that nobody needs: it is taken to be forgotten.
NOBODYS = ("",)


class Place(NamedTuple):
    """Where an identity stands in line: in the lane of each namespace that needs it."""

    namespaces: Collection[str]
    scope: Scope


Lane = dict[Scope, KeyedHeap[SessionId, datetime]]


class FairLanes:
    """Gives namespaces their turn one after another, and within one what ends first.

    However many identities a namespace has, others wait for one of them at a time. An identity that
    several namespaces need is taken at the turn of the first of them. What cannot be asked for at
    the moment, since its account is at STS's limit, is passed over, and holds up nobody.
    """

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}  # In the order of their turns.
        self._places: dict[SessionId, Place] = {}
        self._scopes: dict[Scope, int] = {}  # How many identities each has.

    def __len__(self) -> int:
        return len(self._places)

    @property
    def scopes(self) -> Collection[Scope]:
        """The accounts and regions in which something is ready."""
        return self._scopes.keys()

    def put(self, session_id: SessionId, place: Place, end: datetime) -> None:
        """Place *session_id*, which is not here, by when what is held *end*s."""
        self._places[session_id] = place
        self._scopes[place.scope] = self._scopes.get(place.scope, 0) + 1
        for namespace in place.namespaces:
            lane = self._lanes.setdefault(namespace, {})
            lane.setdefault(place.scope, KeyedHeap()).put(session_id, end)

    def drop(self, session_id: SessionId) -> None:
        """Remove *session_id*, if it is here."""
        place = self._places.pop(session_id, None)
        if place is None:
            return
        self._scopes[place.scope] -= 1
        if not self._scopes[place.scope]:
            del self._scopes[place.scope]
        for namespace in place.namespaces:
            lane = self._lanes[namespace]
            lane[place.scope].drop(session_id)
            if not lane[place.scope]:
                del lane[place.scope]
            if not lane:
                del self._lanes[namespace]

    def take(self, is_open: Callable[[Scope], bool]) -> SessionId | None:
        """Take what is next in a scope that *is_open*; None where nothing is."""
        for namespace, lane in self._lanes.items():
            first = min(_firsts(lane, is_open), default=None)
            if first is not None:
                # Its next turn comes after everybody else's.
                self._lanes[namespace] = self._lanes.pop(namespace)
                self.drop(first[1])
                return first[1]
        return None


def _firsts(lane: Lane, is_open: Callable[[Scope], bool]) -> Iterator[tuple[datetime, SessionId]]:
    for scope, heap in lane.items():
        if is_open(scope) and (first := heap.first()) is not None:
            yield first
