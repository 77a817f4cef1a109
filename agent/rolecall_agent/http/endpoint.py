"""What passes between a connection and its endpoint."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rolecall_agent.http.request import Request
from rolecall_agent.http.response_cache import Memory
from rolecall_agent.metadata.decide import Ending, Missing, Serve, Verdict
from rolecall_agent.metadata.routes import Target
from rolecall_agent.store.cache import Cache
from rolecall_proto.values import Address


@dataclass(slots=True)
class Asked:
    """One request on its way to an answer. Not frozen, for speed, as Request is not."""

    request: Request
    target: Target
    head: bytes
    peer: Address
    host: str  # The peer, as the kernel writes it.
    at: float  # When its head had arrived, on the loop's clock.


@dataclass(slots=True)
class Parked:
    """The request that waits, and behind it all others of its connection."""

    asked: Asked
    timer: asyncio.TimerHandle
    missing: Missing


class Client(Protocol):
    """A connection, as its endpoint sees it."""

    __slots__ = ()

    due: float  # When it is dropped, on the loop's clock; infinity while it waits for us.

    def retry(self) -> None:
        """Ask again for the parked request: something about its pod has changed."""
        ...

    def wait_turn(self) -> None:
        """Read and answer nothing until `take_turn`: its pod has too many connections at once."""
        ...

    def take_turn(self) -> None:
        """Go on with what has come meanwhile."""
        ...

    def go_on(self) -> None:
        """Take up what was left so that other pods had their turn."""
        ...

    def shut(self) -> None:
        """Answer what is parked, and close."""
        ...

    def kill(self) -> None:
        """Drop the connection, and what is still on its way.

        Its deadline has passed, others need its place, or its pod's address has moved.
        """
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take, in seconds."""

    head: float  # For a request's head, from its first byte or from the connection's beginning.
    idle: float  # Without a request.
    reader: float  # Without reading answers that are written.
    line: float  # Until its turn has come. Who has waited that long is gone, and cannot be seen.


class Pacing(Protocol):
    """Who may have another request answered in this turn of the loop."""

    def may_go(self, client: Client, address: Address) -> bool: ...
    def leave(self, client: Client, address: Address) -> None: ...


class Desk(Protocol):
    """What a connection needs of its endpoint."""

    loop: asyncio.AbstractEventLoop
    hold: float  # seconds
    patience: Patience
    pace: Pacing
    cache: Cache
    memory: Memory

    def glance(self) -> None:
        """Take in what the kernel has to say."""
        ...

    def opened(self, client: Client, host: str) -> Address | None: ...
    def closed(self, client: Client, peer: Address) -> None: ...
    def watch(self, moment: float) -> None: ...
    def find(self, path: bytes) -> Target: ...
    def is_own_host(self, host: bytes | None, transport: asyncio.Transport) -> bool: ...
    def now(self) -> datetime: ...
    def verdict(self, asked: Asked, now: datetime) -> Verdict: ...
    def park(self, client: Client, parked: Parked) -> None: ...
    def inquire(self, parked: Parked) -> None: ...
    def unpark(self, client: Client, parked: Parked) -> None: ...
    def answer(self, asked: Asked, ending: Ending, now: datetime, *, waited: bool) -> bytes: ...
    def remember(self, asked: Asked, serve: Serve, answer: bytes, now: datetime) -> None: ...
