"""The server's end of the wire: lets agents in, and streams to each what its node may hold."""

import contextlib
import logging
from collections import Counter
from collections.abc import Generator
from datetime import timedelta
from typing import Any, NoReturn

import grpc

from rolecall_common.clock import Clock
from rolecall_proto.codec import (
    Malformed,
    decode_hello,
    decode_question,
    encode_resolutions,
    encode_updates,
)
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.v1 import broker_pb2_grpc
from rolecall_proto.values import Heartbeat, Hello
from rolecall_server.authority import (
    Agent,
    Authority,
    ForbiddenError,
    UnauthenticatedError,
    UndecidedError,
)
from rolecall_server.bearer import bearer_token
from rolecall_server.broker import Broker, Connection
from rolecall_server.streams import Refusal, Stream, Streams

log = logging.getLogger(__name__)

# An agent gives a silent server up after one and a half to three of these.
HEARTBEAT = timedelta(seconds=10)

# A message costs both ends as much as ten updates, and a roll-out is hundreds of updates at once.
# Five milliseconds are little beside what STS takes, and leave the first of them to STS.
GATHER = timedelta(milliseconds=5)

# What agents are told is constant: the reason of a refusal is in our log, not in theirs.
_NOT_SYNCED: Refusal = (grpc.StatusCode.UNAVAILABLE, "not synced yet")
_STOPPING: Refusal = (grpc.StatusCode.UNAVAILABLE, "the server is stopping")
_NO_TOKEN: Refusal = (grpc.StatusCode.UNAUTHENTICATED, "one bearer token is needed")
_BAD_TOKEN: Refusal = (grpc.StatusCode.UNAUTHENTICATED, "the token was not accepted")
_NO_AGENT: Refusal = (grpc.StatusCode.PERMISSION_DENIED, "the token is not an agent's")
_UNDECIDED: Refusal = (grpc.StatusCode.UNAVAILABLE, "nobody can tell yet whose token this is")
_NO_STREAM: Refusal = (grpc.StatusCode.FAILED_PRECONDITION, "this node has no stream here")
_TOO_OFTEN: Refusal = (grpc.StatusCode.RESOURCE_EXHAUSTED, "this node asks too often")

# gRPC's own types do not say which messages a context is for in a way that both calls could share.
_Context = grpc.aio.ServicerContext[Any, Any]


class Service(broker_pb2_grpc.BrokerServicer):
    """Answers agents. Who asks is the authority's to say, and everything else the broker's."""

    def __init__(
        self,
        broker: Broker,
        authority: Authority,
        clock: Clock,
        *,
        gather: timedelta = timedelta(0),
    ) -> None:
        """*gather* is how long a change waits for others, to be told in the same message."""
        self._broker = broker
        self._authority = authority
        self._clock = clock
        self._gather = gather
        self._streams = Streams()
        self._closed = False
        # Calls that were refused, by status; for metrics.
        self.refused: Counter[grpc.StatusCode] = Counter()

    @property
    def serving(self) -> bool:
        """Whether an agent that comes now is let in."""
        return self._broker.synced and not self._closed

    def close(self) -> None:
        """End every stream and let nobody in any more: agents go on with what they hold."""
        self._closed = True
        for stream in self._streams:
            stream.end(_STOPPING)

    # A coroutine, where the generated class knows generators only: of those a cancelled one is
    # closed by the garbage collector, and its node would stay connected until then.
    async def WatchNode(  # type: ignore[override]  # see above  # noqa: N802 - the protocol's name
        self, request: pb.WatchNodeRequest, context: _Context
    ) -> None:
        agent = await self._authenticated(context)
        hello = decode_hello(request)
        if isinstance(hello, Malformed):
            await self._refuse(context, (grpc.StatusCode.INVALID_ARGUMENT, hello.problem))
        with self._streams.opened(agent) as stream, self._connected(stream, hello) as connection:
            ending = await self._tell(stream, connection, context)
        await context.abort(*ending)

    async def ResolvePods(  # noqa: N802 - the protocol's name
        self, request: pb.ResolvePodsRequest, context: _Context
    ) -> pb.ResolvePodsResponse:
        agent = await self._authenticated(context)
        now = self._clock.now()
        node = self._streams.of(agent.node)
        if node is None:
            await self._refuse(context, _NO_STREAM)
        addresses = decode_question(request)
        if isinstance(addresses, Malformed):
            await self._refuse(context, (grpc.StatusCode.INVALID_ARGUMENT, addresses.problem))
        if not node.may_ask(len(addresses), now):
            await self._refuse(context, _TOO_OFTEN)
        return encode_resolutions(
            self._broker.resolve(agent.node, address, now) for address in addresses
        )

    async def _tell(self, stream: Stream, connection: Connection, context: _Context) -> Refusal:
        """Write what there is to tell, and a heartbeat after a silence, until someone ends it."""
        silent_since = self._clock.now()
        while stream.ending is None:
            stream.changed.clear()
            updates = connection.take()
            now = self._clock.now()
            if not updates and now - silent_since >= HEARTBEAT:
                updates = [Heartbeat(now)]
            for message in encode_updates(updates):
                await context.write(message)
            if updates:
                silent_since = self._clock.now()
            if await self._clock.wait_until(stream.changed, silent_since + HEARTBEAT):
                await self._clock.sleep(self._gather)
        return stream.ending

    @contextlib.contextmanager
    def _connected(self, stream: Stream, hello: Hello) -> Generator[Connection]:
        fields = {"node": stream.agent.node, "agent_version": hello.version}
        now = self._clock.now()
        connection = self._broker.connect(stream.agent, hello, stream.changed.set, now)
        log.info("an agent connected", extra={**fields, "held": len(hello.held)})
        try:
            yield connection
        finally:
            self._broker.disconnect(connection, self._clock.now())
            log.info("an agent disconnected", extra=fields)

    async def _authenticated(self, context: _Context) -> Agent:
        if not self.serving:
            await self._refuse(context, _STOPPING if self._closed else _NOT_SYNCED)
        token = bearer_token(context.invocation_metadata() or ())
        if token is None:
            await self._refuse(context, _NO_TOKEN)
        try:
            agent = await self._authority.authenticate(token)
        except UnauthenticatedError as error:
            await self._refuse(context, _BAD_TOKEN, error)
        except ForbiddenError as error:
            await self._refuse(context, _NO_AGENT, error)
        except UndecidedError as error:
            await self._refuse(context, _UNDECIDED, error)
        if self._closed:  # Since the token was taken to the authority.
            await self._refuse(context, _STOPPING)
        return agent

    async def _refuse(
        self, context: _Context, refusal: Refusal, why: Exception | None = None
    ) -> NoReturn:
        code, told = refusal
        self.refused[code] += 1
        fields = {"peer": context.peer(), "code": code.name, "reason": str(why or told)}
        # Whoever asks too often would fill the log as well; the metric counts it.
        level = logging.DEBUG if refusal is _TOO_OFTEN else logging.INFO
        log.log(level, "an agent's call was refused", extra=fields)
        await context.abort(code, told)
