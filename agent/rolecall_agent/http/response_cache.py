"""Responses of this second: who asks again with the same bytes gets the same ones, unparsed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rolecall_agent.decision import Route, Serve
from rolecall_agent.http.counters import Counters
from rolecall_agent.http.request import ReceivedRequest
from rolecall_agent.store.cache import Cache
from rolecall_common.secret import NotPickled

MOST_CACHED = 1024  # responses; some 1.5 MB at the most, and a node's pods ask for far fewer
_SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class CachedResponse(NotPickled):
    """One response, and what it was a response to.

    All that lies between a head and its response depends on the head, the peer, the cache's
    generation and the time. The first two are the key it is found by, the third is compared, and
    *until* is where the fourth begins to matter.
    """

    head: bytes = field(repr=False)
    response: bytes = field(repr=False)
    close: bool
    until: float  # On the loop's clock: the end of this second, of the token, of the credentials.
    generation: int
    route: Route
    left: timedelta
    tokenless: bool
    served: int = 0


class ResponseCache:
    """Keeps responses for no longer than a second and a generation of the node's *cache*.

    *time* is the loop's clock.
    """

    def __init__(self, counters: Counters, cache: Cache, time: Callable[[], float]) -> None:
        self._counters = counters
        self._cache = cache
        self._time = time
        self._until = 0.0  # On the loop's clock: where this second ends.
        self._responses: dict[tuple[str, bytes], CachedResponse] = {}
        # By the peer's address, as the kernel writes it, and the head. A bound method of the
        # dictionary: this is the one look-up on the path of every warm answer.
        self.find: Callable[[tuple[str, bytes]], CachedResponse | None] = self._responses.get

    def add(self, received: ReceivedRequest, serve: Serve, response: bytes, now: datetime) -> None:
        """Let the same bytes from the same peer have *response* for the rest of this second."""
        moment = self._time()
        if moment >= self._until:
            self.clear()
            self._until = moment + (1_000_000 - now.microsecond) / 1e6  # The Date turns.
        if len(self._responses) >= MOST_CACHED:
            return
        end = serve.session.credentials.expires_at
        if serve.good_until is not None:
            end = min(end, serve.good_until)
        self._responses[received.peer_name, received.head] = CachedResponse(
            head=received.head,
            response=response,
            close=not received.keep_alive,
            until=min(self._until, moment + (end - now) / _SECOND),
            generation=self._cache.generation,
            route=received.target.route,
            left=serve.session.reported_until - now,
            tokenless=serve.good_until is None,
        )

    def count(self) -> None:
        """Count what was answered from here since the last time."""
        for each in self._responses.values():
            if each.served:
                self._counters.repeated(
                    each.route, each.left, each.served, tokenless=each.tokenless
                )
                each.served = 0

    def clear(self) -> None:
        """Count, and forget everything: the second or the generation is over."""
        self.count()
        for each in self._responses.values():
            each.until = 0.0  # A connection may still have it at hand, where nobody would count.
        self._responses.clear()
