"""What passes between a connection and its door."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rolecall_agent.cache import Cache
from rolecall_agent.memory import Memory
from rolecall_agent.requests import Request
from rolecall_agent.routes import Target
from rolecall_agent.verdicts import Ending, Missing, Serve, Verdict
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
    """A connection, as its door sees it."""

    last_active: float  # On the loop's clock.

    @property
    def is_parked(self) -> bool: ...

    def retry(self) -> None:
        """Ask again for the parked request: something about its pod has changed."""
        ...

    def wait_turn(self) -> None:
        """Answer nothing until `take_turn`: this pod has too many connections at once."""
        ...

    def take_turn(self) -> None:
        """Go on with what has come meanwhile."""
        ...

    def shut(self) -> None:
        """Answer what is parked, and close."""
        ...

    def kill(self) -> None:
        """Drop the connection: its head is too slow, or it has been idle for too long."""
        ...


class Desk(Protocol):
    """What a connection needs of its door."""

    loop: asyncio.AbstractEventLoop
    hold: float  # seconds
    cache: Cache
    memory: Memory

    def opened(self, client: Client, host: str) -> Address: ...
    def closed(self, client: Client, peer: Address) -> None: ...
    def head_awaited(self, client: Client, *, partial: bool) -> None: ...
    def idles(self, client: Client) -> None: ...
    def find(self, path: bytes) -> Target: ...
    def is_own_host(self, host: bytes | None, transport: asyncio.Transport) -> bool: ...
    def now(self) -> datetime: ...
    def verdict(self, asked: Asked, now: datetime) -> Verdict: ...
    def park(self, client: Client, parked: Parked) -> None: ...
    def unpark(self, client: Client, parked: Parked) -> None: ...
    def answer(self, asked: Asked, ending: Ending, now: datetime, *, waited: bool) -> bytes: ...
    def remember(self, asked: Asked, serve: Serve, answer: bytes, now: datetime) -> None: ...
