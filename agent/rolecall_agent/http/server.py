"""What stands behind any endpoint: its connections, their turns and limits, and its memory.

Each connection is its own protocol (`connection.py`). What is asked and answered there is the
endpoint's own: `metadata/endpoint.py` for the metadata endpoint.
"""

import abc
import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from rolecall_agent.http.connection import Connection, WatchedConnection
from rolecall_agent.http.connection_limits import MOST_IN_ALL, Turns
from rolecall_agent.http.counters import Tally
from rolecall_agent.http.endpoint import Asked, Client, Pacing, Parked, Patience
from rolecall_agent.http.fair_queue import Pace
from rolecall_agent.http.host_header import names_of
from rolecall_agent.http.response_cache import Memory, Remembered
from rolecall_agent.http.timeouts import Deadlines
from rolecall_agent.metadata import routes
from rolecall_agent.metadata.decide import Ending, Serve, Verdict
from rolecall_agent.metadata.render import Renderer
from rolecall_agent.metadata.routes import Target
from rolecall_agent.store.cache import Cache
from rolecall_common.clock import Clock
from rolecall_proto.values import Address, Assignment, PodUid, Session, plain

HOLD = timedelta(milliseconds=900)  # SDKs give up after a second.
# A head: contract §5. Without a request: as long as nginx waits. No SDK waits for ten seconds.
PATIENCE = Patience(head=5.0, idle=75.0, reader=10.0, line=10.0)
LAST_ANSWERS = 1.0  # seconds that clients have, at the end, to take what is written
BACKLOG = 4096  # connections that the kernel keeps for us while the agent restarts or is busy
# Bytes of one connection that the kernel keeps for us, and for its client (it takes up to twice as
# much of each). A request has some 300, and a document some 1,500.
_INCOMING, _OUTGOING = 4 * 1024, 8 * 1024
# Milliseconds for which the kernel sends what nobody acknowledges. It matters where we crash: what
# was on its way then is not ours any more, and would be sent again for most of a minute.
_UNTAKEN = 3_000
_MOST_PEERS = 4096  # addresses whose parsed form is remembered; a node has some hundred pods
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """How an endpoint behaves.

    *hosts* are those that are allowed besides its well-known addresses, *connections* how many it
    may have open at once.
    """

    hosts: Collection[str] = ()
    hold: timedelta = HOLD
    connections: int = MOST_IN_ALL


FirstServe = Callable[[Assignment, Session, str], None]
# An address, or a socket that is bound to one already, and may have connections waiting.
Where = tuple[str, int] | socket.socket


def _see_nothing() -> None: ...
def _never() -> bool:
    return False


class Hall(abc.ABC):
    """An endpoint without its protocol: its well-known hosts and what it says are a subclass's."""

    # As metrics and audit records call it.
    name: str

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        rules: EndpointRules,
        tally: Tally,
        first_serve: FirstServe,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.hold = rules.hold / _SECOND
        self.cache = cache
        self.now = clock.now
        self._first_serve = first_serve
        self._hosts = frozenset(host.lower().encode() for host in rules.hosts)
        self._tally = tally
        self.memory = Memory(tally)
        self._memory_until = 0.0  # On the loop's clock: where this second ends.
        self._renderer = Renderer()
        self._peers: dict[str, Address] = {}
        self._empty = asyncio.Event()
        self._turns = Turns(in_all=rules.connections)
        self.pace: Pacing = Pace(self.loop)
        self.patience = PATIENCE
        self.glance: Callable[[], None] = _see_nothing
        self._changes_hands: Callable[[], bool] = _never
        self._last_served: dict[PodUid, str] = {}  # The access key id that was audited last.
        self._deadlines = Deadlines(self.loop, self._turns)
        self.watch = self._deadlines.watch

    @property
    def tally(self) -> Tally:
        """What was counted so far, answers from memory included."""
        self.memory.settle()
        return self._tally

    @property
    def open_connections(self) -> int:
        return len(self._turns)

    @property
    @abc.abstractmethod
    def held_requests(self) -> int: ...

    @contextlib.asynccontextmanager
    async def serving(self, listen: Iterable[Where]) -> AsyncGenerator[list[tuple[str, int]]]:
        """Listen on each of *listen* while the block runs; give the addresses as they came out.

        At the end what is held is answered 503, and every connection is closed. Raises OSError
        where an address cannot be had.
        """
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            bound = []
            for server in await self._listen(listen):
                stack.callback(server.close)
                for each in server.sockets:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _INCOMING)
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _OUTGOING)
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNTAKEN)
                bound += [each.getsockname()[:2] for each in server.sockets]
            self._hosts |= {name for address in bound for name in names_of(*address)}
            yield bound

    def watches(self, glance: Callable[[], None], changes_hands: Callable[[], bool]) -> None:
        """Have *glance* look at the kernel before anybody is let in, from now on.

        Where *changes_hands* says that a connection may become another pod's while it is open, it
        is called before each request as well.
        """
        self.glance = glance
        self._changes_hands = changes_hands

    def cut(self, addresses: Iterable[Address]) -> None:
        """Drop all connections of *addresses*: their links have changed."""
        for address in addresses:
            for client in self._turns.of(address):
                client.kill()

    async def finished(self) -> None:
        """Return once no client is connected."""
        self._empty.clear()
        if self._turns:
            await self._empty.wait()

    # What connections need of the endpoint (`desk.Desk`).

    def opened(self, client: Client, host: str) -> Address | None:
        """Return who *client* is; None where there is no place for it."""
        self.glance()
        address = self._peers.get(host)
        if address is None:
            if len(self._peers) >= _MOST_PEERS:
                self._peers.clear()
            # A link-local peer comes with its link's name, which is no part of who it is.
            address = self._peers[host] = plain(ip_address(host.partition("%")[0]))
        return address if self._turns.enter(client, address) else None

    def closed(self, client: Client, peer: Address) -> None:
        self._turns.leave(client, peer)
        self.pace.leave(client, peer)
        if not self._turns:
            self._empty.set()

    def is_own_host(self, host: bytes | None, transport: asyncio.Transport) -> bool:
        """Whether *host* is an address of ours: no name that a page could rebind (contract §5)."""
        if host is None or host in self._hosts:
            return True
        # Behind a wildcard listener, its own address is the one that the client reached.
        return host in names_of(*transport.get_extra_info("sockname")[:2])

    def find(self, path: bytes) -> Target:
        """Return where *path* leads."""
        return routes.find(path)

    @abc.abstractmethod
    def verdict(self, asked: Asked, now: datetime) -> Verdict: ...

    @abc.abstractmethod
    def park(self, client: Client, parked: Parked) -> None: ...

    @abc.abstractmethod
    def inquire(self, parked: Parked) -> None:
        """Have the server asked about what *parked* waits for, if that can be asked."""
        ...

    @abc.abstractmethod
    def unpark(self, client: Client, parked: Parked) -> None: ...

    @abc.abstractmethod
    def answer(self, asked: Asked, ending: Ending, now: datetime, *, waited: bool) -> bytes:
        """Return the bytes that *ending* is, and count them."""
        ...

    def remember(self, asked: Asked, serve: Serve, answer: bytes, now: datetime) -> None:
        """Let the same bytes from the same peer have *answer* for the rest of this second."""
        moment = self.loop.time()
        if moment >= self._memory_until:
            self.memory.forget()
            self._memory_until = moment + (1_000_000 - now.microsecond) / 1e6  # The Date turns.
        end = serve.session.credentials.expires_at
        if serve.good_until is not None:
            end = min(end, serve.good_until)
        remembered = Remembered(
            head=asked.head,
            answer=answer,
            close=not asked.request.keep_alive,
            until=min(self._memory_until, moment + (end - now) / _SECOND),
            generation=self.cache.generation,
            route=asked.target.route,
            left=serve.session.reported_until - now,
        )
        self.memory.add(asked.host, remembered)

    # What the endpoints share.

    async def _listen(self, listen: Iterable[Where]) -> list[asyncio.Server]:
        return [await self._serve_at(where) for where in listen]

    async def _serve_at(self, where: Where) -> asyncio.Server:
        if isinstance(where, socket.socket):
            return await self.loop.create_server(self._connection, sock=where, backlog=BACKLOG)
        return await self.loop.create_server(self._connection, *where, backlog=BACKLOG)

    def _connection(self) -> Connection:
        return WatchedConnection(self) if self._changes_hands() else Connection(self)

    def _note_serve(self, serve: Serve, now: datetime) -> None:
        session = serve.session
        self._tally.served(session.reported_until - now)
        uid, key_id = serve.assignment.uid, session.credentials.access_key_id
        if self._last_served.get(uid) != key_id:
            if len(self._last_served) >= _MOST_PEERS:
                self._last_served.clear()  # A second record of a serve is better than a leak.
            self._last_served[uid] = key_id
            self._first_serve(serve.assignment, session, self.name)

    async def _close(self) -> None:
        self._empty.clear()
        for connection in tuple(self._turns):
            connection.shut()
        # The last answers leave in a turn of the loop, which must not end before.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_ANSWERS if self._turns else 0):
                await self._empty.wait()
        for connection in tuple(self._turns):
            connection.kill()
        await asyncio.sleep(0)  # In which they are lost.
        self._deadlines.close()
