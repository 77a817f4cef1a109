"""One node's agent: a real cache, one stream to some server, and pods that ask."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolecall_agent.store.cache import Cache
from rolecall_agent.store.standing import Granted, Refused, Standing
from rolecall_proto.values import Address, NodeName, PodUid, Update
from simulation.server import Link, Server, View
from simulation.timeline import Timeline

HOLD = timedelta(seconds=0.9)
NEVER = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a pod got, and what the agent may have known when it answered."""

    uid: PodUid  # Who asked, by the kernel.
    address: Address
    standing: Standing
    views: tuple[View, ...]
    linked_to: int | None  # The server at the other end of the stream.


Report = Callable[["Agent", Answer], None]


@dataclass(frozen=True, slots=True)
class Waiter:
    uid: PodUid
    address: Address


class Agent:
    """Follows one server at a time, and never stops answering from what it has."""

    def __init__(
        self, node: NodeName, timeline: Timeline, servers: list[Server], report: Report
    ) -> None:
        self.node = node
        self.cache = Cache()
        self.link: Link | None = None
        self._timeline = timeline
        self._servers = servers
        self._report = report
        self._waiters: dict[Waiter, None] = {}
        # What it may have been told: each view holds at the latest from its moment on; one without
        # a moment may never have arrived.
        self._views: deque[tuple[datetime | None, View]] = deque([(timeline.now, {})])

    @property
    def is_linked(self) -> bool:
        return self.link is not None and self.link.is_up

    def restart(self) -> None:
        """Lose everything that it holds."""
        self.cut()
        self.cache = Cache()
        self._views = deque([(self._timeline.now, {})])

    def cut(self) -> None:
        """Lose the stream, and whatever is on its way."""
        if self.link is not None:
            self.link.cut()
            self.link = None
        now = self._timeline.now
        self._views = deque(
            (moment if moment is not None and moment <= now else NEVER, view)
            for moment, view in self._views
        )

    def seek(self) -> None:
        """Look for a server until there is one; several searches at once do no harm."""
        if self.is_linked:
            return
        if self.link is not None:
            self.cut()  # The server has died; nobody said so.
        ready = [server for server in self._servers if server.is_ready]
        if not ready:
            self._timeline.between(0.2, 2.0, self.seek)
            return
        server = self._timeline.dice.choice(ready)
        self.cache.begin()
        self.link = Link(server, self.node, self._hear, self._learn)
        server.connect(self.link, self.cache.held(self._timeline.now))

    def ask(self, uid: PodUid, address: Address) -> None:
        """Have the pod *uid* ask from *address*; it is answered now, or within the hold."""
        waiter = Waiter(uid, address)
        standing = self.cache.standing(address, self._timeline.now)
        if isinstance(standing, Granted | Refused):
            self._answer(waiter, standing)
            return
        self._waiters[waiter] = None
        self._timeline.at(self._timeline.now + HOLD, lambda: self._give_up(waiter))
        if self.link is not None and self.link.is_up and self.link.server.broker is not None:
            self.link.server.broker.resolve(self.node, address, self._timeline.now)

    def forget(self, uid: PodUid) -> None:
        """Drop the requests of a pod that has died."""
        self._waiters = {each: None for each in self._waiters if each.uid != uid}

    def views(self) -> tuple[View, ...]:
        """Return every view that it may be answering by."""
        now = self._timeline.now
        arrived = [n for n, (at, _) in enumerate(self._views) if at is not None and at <= now]
        for _ in range(arrived[-1] if arrived else 0):
            self._views.popleft()
        return tuple(view for _, view in self._views)

    def _hear(self, update: Update) -> None:
        if not self.cache.apply(update, self._timeline.now):
            return
        for waiter in list(self._waiters):
            standing = self.cache.standing(waiter.address, self._timeline.now)
            if isinstance(standing, Granted | Refused):
                del self._waiters[waiter]
                self._answer(waiter, standing)

    def _learn(self, view: View, by: datetime) -> None:
        if view != self._views[-1][1] or self._views[-1][0] is NEVER:
            self._views.append((by, view))
        if len(self._views) > 64:
            self.views()

    def _give_up(self, waiter: Waiter) -> None:
        if waiter in self._waiters:
            del self._waiters[waiter]
            self._answer(waiter, self.cache.standing(waiter.address, self._timeline.now))

    def _answer(self, waiter: Waiter, standing: Standing) -> None:
        linked = self.link.server.number if self.link is not None and self.is_linked else None
        answer = Answer(waiter.uid, waiter.address, standing, self.views(), linked)
        self._report(self, answer)
