"""The server's end of the wire: lets agents in, and streams to each what its node may hold."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn, Protocol

import grpc

from rolecall_common.clock import Clock
from rolecall_common.secret import Secret
from rolecall_proto.codec import (
    Malformed,
    decode_confirm,
    decode_hello,
    decode_question,
    encode_resolutions,
    encode_updates,
)
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.v1 import broker_pb2_grpc
from rolecall_proto.values import Address, Heartbeat, Hello, NodeName, PodUid, Resolution
from rolecall_server.engine.broker import Broker
from rolecall_server.model.authenticator import Agent, Authority, AuthorityError
from rolecall_server.nodes.subscription import NodeSubscription
from rolecall_server.rpc.bearer import bearer_token
from rolecall_server.rpc.reauthentication import judge_again
from rolecall_server.rpc.refusals import (
    BY_AUTHORITY,
    GONE,
    LOST,
    NO_STREAM,
    NO_TOKEN,
    NOT_SYNCED,
    STOPPING,
    TOO_MANY,
    TOO_OFTEN,
    Refusal,
    Refusals,
)
from rolecall_server.rpc.streams import Stream, Streams

log = logging.getLogger(__name__)

# An agent gives a silent server up after one and a half to three of these.
HEARTBEAT = timedelta(seconds=10)

# A message costs both ends as much as ten updates, and a roll-out is hundreds of updates at once.
# Five milliseconds are little beside what STS takes, and leave the first of them to STS.
GATHER = timedelta(milliseconds=5)

# gRPC's own types do not say which messages a context is for in a way that both calls could share.
_Context = grpc.aio.ServicerContext[Any, Any]


class Look(Protocol):
    """Reads pods of a node anew, as far as that can be done in a moment."""

    async def look(self, node: NodeName) -> None: ...
    async def confirm(
        self, node: NodeName, uids: Sequence[PodUid]
    ) -> Mapping[PodUid, Collection[Address]]: ...


class Service(broker_pb2_grpc.BrokerServicer):
    """Answers agents. Who asks is the authority's to say, and everything else the broker's."""

    def __init__(
        self,
        broker: Broker,
        authority: Authority,
        clock: Clock,
        *,
        gather: timedelta = timedelta(0),
        look: Look | None = None,
    ) -> None:
        """*gather* is how long a change waits for others, to be told in the same message.

        *look* is None where nobody could: what the source has told is all that there is then.
        """
        self._broker = broker
        self._authority = authority
        self._clock = clock
        self._gather = gather
        self._look = look
        self._streams = Streams()
        self._refusals = Refusals()
        self._closed = False

    @property
    def serving(self) -> bool:
        """Whether an agent that comes now is let in."""
        return self._broker.synced and not self._closed

    @property
    def refused(self) -> Counter[grpc.StatusCode]:
        """Calls that were refused, by status; for metrics."""
        return self._refusals.by_code

    def close(self) -> None:
        """End every stream and let nobody in any more: agents go on with what they hold."""
        self._closed = True
        for stream in self._streams:
            stream.end(STOPPING)

    async def run(self) -> NoReturn:
        """Have the tokens of open streams judged again, each when its time has come."""
        await judge_again(self._streams, self._authority, self._clock)

    # A coroutine, where the generated class knows generators only: of those a cancelled one is
    # closed by the garbage collector, and its node would stay connected until then.
    async def WatchNode(  # type: ignore[override]  # see above  # noqa: N802 - the protocol's name
        self, request: pb.WatchNodeRequest, context: _Context
    ) -> None:
        agent, token = await self._authenticated(context)
        hello = decode_hello(request)
        if isinstance(hello, Malformed):
            await self._refuse(context, (grpc.StatusCode.INVALID_ARGUMENT, hello.problem))
        async with asyncio.TaskGroup() as tasks:
            with (
                self._streams.opened(agent, token) as stream,
                self._connected(stream, hello) as connection,
            ):
                telling = self._tell(stream, connection, context)
                tasks.create_task(telling, name=f"tell {agent.node}")
                await stream.over.wait()
            # The node is let go of by now. What may be left is a write that its peer does not take:
            # gRPC can neither take that back nor say anything behind it, only wait for the peer or
            # for the end of the connection, and until then the call counts as the node's.
        await context.abort(*stream.ending)

    async def ResolvePods(  # noqa: N802 - the protocol's name
        self, request: pb.ResolvePodsRequest, context: _Context
    ) -> pb.ResolvePodsResponse:
        agent, _ = await self._authenticated(context)
        now = self._clock.now()
        node = self._streams.of(agent.node)
        if node is None:
            await self._refuse(context, NO_STREAM)
        addresses, doubted = decode_question(request), decode_confirm(request)
        if isinstance(addresses, Malformed):
            await self._refuse(context, (grpc.StatusCode.INVALID_ARGUMENT, addresses.problem))
        if isinstance(doubted, Malformed):
            await self._refuse(context, (grpc.StatusCode.INVALID_ARGUMENT, doubted.problem))
        if not node.questions.take(len(addresses) + len(doubted), now):
            await self._refuse(context, TOO_OFTEN)
        resolved = self._resolve(agent.node, addresses)
        if self._look is not None and Resolution.UNKNOWN in resolved:
            await self._look.look(agent.node)
            resolved = self._resolve(agent.node, addresses)
        return encode_resolutions(resolved, await self._confirmed(agent.node, doubted))

    async def _confirmed(
        self, node: NodeName, uids: Sequence[PodUid]
    ) -> list[Collection[Address] | None]:
        if self._look is None:
            return [self._broker.addresses_of(node, uid) for uid in uids]
        read = await self._look.confirm(node, uids) if uids else {}
        return [read.get(uid) for uid in uids]

    def _resolve(self, node: NodeName, addresses: Iterable[Address]) -> list[Resolution]:
        now = self._clock.now()
        return [self._broker.resolve(node, address, now) for address in addresses]

    async def _tell(self, stream: Stream, connection: NodeSubscription, context: _Context) -> None:
        """Write what there is to tell, and a heartbeat after a silence, until someone ends it."""
        silent_since, silent = self._clock.now(), False
        while self._may_hear(stream):
            stream.changed.clear()
            updates = connection.take()
            if not updates and silent:
                updates = [Heartbeat(self._clock.now())]
            for message in encode_updates(updates):
                if not self._may_hear(stream):
                    return
                try:
                    await context.write(message)
                except grpc.aio.BaseError:  # The peer went in the middle of it.
                    stream.end(LOST)
            now = self._clock.now()
            # A clock that was set back must not make a silence of a heartbeat.
            silent_since = now if updates else min(silent_since, now)
            silent = not await self._clock.wait_until(stream.changed, silent_since + HEARTBEAT)
            if not silent:
                await self._clock.sleep(self._gather)

    def _may_hear(self, stream: Stream) -> bool:
        """Tell whether *stream* is open; it ends here where its agent's pod does not run any more.

        A level, asked before every write: no message leaves after the watch has shown the end.
        """
        if not self._broker.runs(stream.agent):
            stream.end(GONE)
        return stream.is_open

    def _wake(self, stream: Stream) -> None:
        self._may_hear(stream)  # Also where the teller is stuck in a write.
        stream.changed.set()

    @contextlib.contextmanager
    def _connected(self, stream: Stream, hello: Hello) -> Generator[NodeSubscription]:
        fields = {"node": stream.agent.node, "agent_version": hello.version}
        now = self._clock.now()
        wake = partial(self._wake, stream)
        connection = self._broker.connect(stream.agent, hello, wake, now)
        log.info("an agent connected", extra={**fields, "held": len(hello.held)})
        try:
            yield connection
        finally:
            self._broker.disconnect(connection, self._clock.now())
            log.info("an agent disconnected", extra=fields)

    async def _authenticated(self, context: _Context) -> tuple[Agent, Secret]:
        """Return who calls, and by which token; the call counts as the node's until it is over."""
        if not self.serving:
            await self._refuse(context, STOPPING if self._closed else NOT_SYNCED)
        token = bearer_token(context.invocation_metadata() or ())
        if token is None:
            await self._refuse(context, NO_TOKEN)
        try:
            agent = await self._authority.authenticate(token)
        except AuthorityError as error:
            await self._refuse(context, BY_AUTHORITY[type(error)], error)
        if self._closed:  # Since the token was taken to the authority.
            await self._refuse(context, STOPPING)
        if not self._streams.begin_call(agent.node):
            await self._refuse(context, TOO_MANY)
        context.add_done_callback(
            lambda _: self._streams.end_call(agent.node)  # type: ignore[arg-type]  # no Protocol
        )
        return agent, token

    async def _refuse(
        self, context: _Context, refusal: Refusal, why: Exception | None = None
    ) -> NoReturn:
        code, told = refusal
        self._refusals.note(refusal, context.peer(), str(why or told), self._clock.now())
        await context.abort(code, told)
