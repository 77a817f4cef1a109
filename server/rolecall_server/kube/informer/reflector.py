"""List and watch: tells what there is, then what becomes of it, and never ends.

`changes` goes on for ever; `_once` is one list or one watch, whichever is due. A watch that broke
goes on from where it was, so that an API server that comes back is not asked for everything by
everyone; only where it has forgotten that place, everything is listed again.
"""

import logging
import random
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from rolecall_common.backoff import Backoff
from rolecall_common.clock import Clock
from rolecall_server.kube.api import (
    Api,
    ApiError,
    ExpiredError,
    Query,
    RejectedError,
    UnavailableError,
)
from rolecall_server.kube.informer.decoder import Bookmark
from rolecall_server.kube.informer.listing import Listing, changes_of
from rolecall_server.kube.informer.resources import Resource
from rolecall_server.model.source import Change, WatchState

log = logging.getLogger(__name__)

V = TypeVar("V")

# Two or three servers may ask an API server that comes back every ten seconds: new pods wait.
_RETRY = Backoff(timedelta(seconds=0.2), timedelta(seconds=10), jitter=0.5)
# The API server ends a watch after so long, so that watches spread over its replicas again.
_SHORTEST_WATCH, _LONGEST_WATCH = 240, 480  # seconds
# Bookmarks come once a minute. A watch from a version that is yet to come (etcd was restored from a
# backup) is accepted and says nothing.
_LONGEST_SILENCE = timedelta(minutes=2)
_PAGE = "500"  # pods are 4 MB of JSON, and some four milliseconds of decoding.
_STREAMED = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
# What an API server says that cannot list by a watch (it came with 1.27, and may be switched off).
_CANNOT_STREAM = frozenset({400, 422})


@dataclass(slots=True)
class ReflectorStatistics:
    """What a reflector had to do; for metrics, and for whoever asks why the watch is stale."""

    listings: Counter[str] = field(default_factory=Counter)  # By how: `stream`, `pages`.
    failures: int = 0
    problem: str | None = None  # None while all is well.


class Reflector(Generic[V]):
    """Follows all objects of one kind. A source of changes: see `model/source.py`."""

    def __init__(self, resource: Resource[V], api: Api, clock: Clock, dice: random.Random) -> None:
        self.statistics = ReflectorStatistics()
        self._resource = resource
        self._api = api
        self._clock = clock
        self._dice = dice
        self._version = ""  # Everything was told up to here; empty where a listing is due.
        self._streams = True  # Whether the next listing is tried by a watch.
        self._failures = 0  # In a row.
        self._expiries = 0  # Since a watch last told something.
        self._silent_since: datetime | None = None  # When a watch opened that has said nothing.
        self._progressed = False
        self._fresh: bool | None = None  # As it was told last.

    @property
    def name(self) -> str:
        """What it follows."""
        return self._resource.name

    async def changes(self) -> AsyncGenerator[Change]:
        """Yield a listing first, then changes as they happen; it ends only by being closed."""
        while True:
            self._progressed, self._silent_since = False, None
            problem: ApiError | None = None
            try:
                async with aclosing(self._once()) as changes:
                    async for change in changes:
                        yield change
            except (UnavailableError, RejectedError) as error:
                problem = error
                self._note_failure(error)
                for told in self._freshness(fresh=False):
                    yield told
            self._check_silence()
            # A watch that ends without a word is no success, and is not opened again at once.
            if problem is not None or not self._progressed:
                await self._pause(problem)

    async def _once(self) -> AsyncGenerator[Change]:
        if self._version:
            changes = self._watch({"resourceVersion": self._version}, None)
        elif self._streams:
            changes = self._watch(_STREAMED, Listing(self._resource))
        else:
            changes = self._pages()
        async with aclosing(changes):
            async for change in changes:
                yield change

    async def _pages(self) -> AsyncGenerator[Change]:
        listing, query = Listing(self._resource), {**self._resource.selector, "limit": _PAGE}
        more: str | None = ""
        while more is not None:
            asked = {**query, "continue": more} if more else query
            page = self._resource.decoder.page(await self._api.get(self._resource.path, asked))
            listing.add_page(page)
            more = page.next
        self._streams = True
        for change in self._listed(listing, page.resource_version, "pages"):
            yield change

    async def _watch(self, start: Query, listing: Listing[V] | None) -> AsyncGenerator[Change]:
        seconds = self._dice.randint(_SHORTEST_WATCH, _LONGEST_WATCH)
        query = {**self._resource.selector, **start, "watch": "true", "allowWatchBookmarks": "true"}
        query["timeoutSeconds"] = str(seconds)
        async with self._api.watch(self._resource.path, query) as lines:
            if listing is None:
                self._silent_since = self._clock.now()
                for told in self._freshness(fresh=True):
                    yield told
            async for line in lines:
                event = self._resource.decoder.event(line)
                if event is None:
                    continue
                if listing is None:
                    self._version = event.resource_version or self._version
                    self._failures = self._expiries = 0
                    self._progressed, self._silent_since = True, None
                    for change in changes_of(self._resource, event):
                        yield change
                elif isinstance(event, Bookmark) and event.initial_end:
                    for change in self._listed(listing, event.resource_version, "stream"):
                        yield change
                    listing = None
                else:
                    listing.add_event(event)

    def _listed(self, listing: Listing[V], version: str, how: str) -> Iterator[Change]:
        self._version, self._failures, self._progressed = version, 0, True
        self.statistics.listings[how] += 1
        yield from listing.changes()
        yield from self._freshness(fresh=True)

    def _freshness(self, *, fresh: bool) -> Iterator[Change]:
        """Yield how fresh the watch is, where that is news."""
        if fresh:
            self.statistics.problem = None
        if fresh is not self._fresh:
            self._fresh = fresh
            yield WatchState(fresh, self._resource.name)

    def _check_silence(self) -> None:
        """List again where a watch was open for long and said nothing, however it ended."""
        since = self._silent_since
        if since is not None and self._clock.now() - since > _LONGEST_SILENCE:
            log.warning("the watch said nothing", extra={"kind": self._resource.name})
            self._version = ""

    def _note_failure(self, error: ApiError) -> None:
        cannot_stream = isinstance(error, RejectedError) and error.status in _CANNOT_STREAM
        if isinstance(error, ExpiredError):
            # An answer: the listing is not delayed, except where this comes of listing, too.
            self._version, self._failures = "", 0
            self._expiries += 1
        elif not self._version:
            # However a listing failed, the next one is tried the other way.
            self._streams = not self._streams
        level = logging.INFO if cannot_stream else logging.WARNING
        if self.statistics.problem != str(error):
            fields = {"kind": self._resource.name, "reason": str(error)}
            log.log(level, "the watch was interrupted", extra=fields)
        self.statistics.problem = str(error)
        self.statistics.failures += 1

    async def _pause(self, problem: ApiError | None) -> None:
        self._failures += 1
        delay = _RETRY.delay(max(self._failures, self._expiries), self._dice)
        asked = problem.retry_after if isinstance(problem, UnavailableError) else None
        await self._clock.sleep(max(delay, asked) if asked is not None else delay)
