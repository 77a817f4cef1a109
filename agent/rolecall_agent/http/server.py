"""A server for one endpoint: it listens, and ends with every connection closed.

Each connection is its own protocol (`connection.py`). What is asked and answered there is the
endpoint's own: `metadata/endpoint.py` for the metadata endpoint.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Iterable

from rolecall_agent.audit import FirstServe
from rolecall_agent.http.acceptor import WAITING_SHARE, Acceptor
from rolecall_agent.http.connection import Connection
from rolecall_agent.http.counters import Counters
from rolecall_agent.http.endpoint import Endpoint
from rolecall_agent.http.host_header import names_of
from rolecall_agent.http.server_state import ServerRules, ServerState
from rolecall_agent.http.watched_connection import WatchedConnection
from rolecall_agent.store.cache import Cache
from rolecall_common.callbacks import Reporting
from rolecall_common.clock import Clock
from rolecall_proto.values import Address, Assignment, Session

LAST_ANSWERS = 1.0  # seconds that clients have, at the end, to take what is written
BACKLOG = 4096  # connections that the kernel keeps for us while the agent restarts or is busy
# Bytes of one connection that the kernel keeps for us, and for its client (it takes up to twice as
# much of each). A request has some 300, and a document some 1,500.
_INCOMING, _OUTGOING = 4 * 1024, 8 * 1024
# Milliseconds for which the kernel sends what nobody acknowledges. It matters where we crash: what
# was on its way then is not ours any more, and would be sent again for most of a minute.
_UNTAKEN = 3_000

# An address, or a socket that is bound to one already, and may have connections waiting.
Where = tuple[str, int] | socket.socket


def _ignore_serve(assignment: Assignment, session: Session, endpoint: str) -> None: ...
def _never() -> bool:
    return False


class Server:
    """Serves *endpoint* on any number of addresses.

    Args:
        endpoint: Decides and renders.
        cache: What this node holds.
        clock: Wall-clock time: of tokens, credentials, and the Date header.
        rules: How clients are treated.
        first_serve: Called with the first answer that carries a session's credentials to a pod.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        cache: Cache,
        clock: Clock,
        rules: ServerRules | None = None,
        *,
        first_serve: FirstServe = _ignore_serve,
    ) -> None:
        self.endpoint = endpoint
        rules = rules or ServerRules()
        self.state = ServerState(endpoint, cache, clock, rules, first_serve)
        self._acceptor = Acceptor(
            self._connection, rules.connections // WAITING_SHARE, self.state.room
        )
        self._changes_hands: Callable[[], bool] = _never

    @property
    def counters(self) -> Counters:
        """What was counted so far, answers from the cache of responses included."""
        self.endpoint.responses.count()
        return self.endpoint.counters

    @property
    def open_connections(self) -> int:
        return len(self.state.limits)

    @contextlib.asynccontextmanager
    async def serving(self, listen: Iterable[Where]) -> AsyncGenerator[list[tuple[str, int]]]:
        """Listen on each of *listen* while the block runs; give the addresses as they came out.

        At the end what is held is answered 503, and every connection is closed. Raises OSError
        where an address cannot be had.
        """
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            await stack.enter_async_context(self._acceptor.running())
            bound = []
            for server in [await self._listen(where) for where in listen]:
                stack.callback(server.close)
                for each in server.sockets:
                    stack.enter_context(self._acceptor.watching(each.fileno()))
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _INCOMING)
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _OUTGOING)
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNTAKEN)
                bound += [each.getsockname()[:2] for each in server.sockets]
            self.state.hosts |= {name for address in bound for name in names_of(*address)}
            yield bound

    def watches(self, poll: Callable[[], None], changes_hands: Callable[[], bool]) -> None:
        """Have *poll* look at the kernel before anybody is let in, from now on.

        Where *changes_hands* says that a connection may become another pod's while it is open, it
        is called before each request as well.
        """
        self.state.poll = poll
        self._changes_hands = changes_hands

    def cut(self, addresses: Iterable[Address]) -> None:
        """Drop all connections of *addresses*: their links have changed."""
        for address in addresses:
            for client in self.state.limits.of(address):
                client.abort()

    def leave(self) -> None:
        """Have each answer from now on be the last of its connection.

        Who asks again connects again, and is led to whoever answers there by then.
        """
        self.state.leaving = True
        self.endpoint.responses.clear()

    async def finished(self) -> None:
        """Return once no client is connected."""
        self.state.empty.clear()
        if self.state.limits:
            await self.state.empty.wait()

    async def _listen(self, where: Where) -> asyncio.Server:
        loop = self.state.loop
        if isinstance(where, socket.socket):
            return await loop.create_server(self._arrived, sock=where, backlog=BACKLOG)
        return await loop.create_server(self._arrived, *where, backlog=BACKLOG)

    @Reporting()
    def _arrived(self) -> Connection:
        self._acceptor.note()
        return self._connection()

    @Reporting()
    def _connection(self) -> Connection:
        return WatchedConnection(self.state) if self._changes_hands() else Connection(self.state)

    async def _close(self) -> None:
        state = self.state
        state.empty.clear()
        for connection in tuple(state.limits):
            connection.close()
        # The last answers leave in a turn of the loop, which must not end before.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_ANSWERS if state.limits else 0):
                await state.empty.wait()
        for connection in tuple(state.limits):
            connection.abort()
        await asyncio.sleep(0)  # In which they are lost.
        state.timeouts.close()
        state.hold_timer.close()
        state.idle_eviction.close()
