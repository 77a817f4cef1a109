"""The stream of one agent: what its node may hold, from the agent's first message to its end."""

import asyncio
import contextlib
import logging
from collections.abc import Generator
from datetime import timedelta
from functools import partial

import grpc

from rolecall_common.clock import Clock
from rolecall_common.secret import Secret
from rolecall_proto.codec import encode_updates
from rolecall_proto.values import Heartbeat, Hello
from rolecall_server.engine.broker import Broker
from rolecall_server.model.authenticator import Agent
from rolecall_server.nodes.subscription import NodeSubscription
from rolecall_server.rpc.authentication import Context
from rolecall_server.rpc.refusals import POD_GONE, UNREACHABLE, Refusal
from rolecall_server.rpc.streams import Stream, Streams

log = logging.getLogger(__name__)

# An agent gives a silent server up after one and a half to three of these.
HEARTBEAT = timedelta(seconds=10)

# A message costs both ends as much as ten updates, and a roll-out is hundreds of updates at once.
# Five milliseconds are little beside what STS takes, and leave the first of them to STS.
GATHER = timedelta(milliseconds=5)


class UpdateStreamer:
    """Streams to each agent what there is to say about its node."""

    def __init__(self, broker: Broker, streams: Streams, clock: Clock, gather: timedelta) -> None:
        """*gather* is how long a change waits for others, to be sent in the same message."""
        self._broker = broker
        self._streams = streams
        self._clock = clock
        self._gather = gather

    async def run(self, agent: Agent, token: Secret, hello: Hello, context: Context) -> Refusal:
        """Write to *context* until the stream is to end; return how it is to end."""
        async with asyncio.TaskGroup() as tasks:
            with (
                self._streams.opened(agent, token) as stream,
                self._subscribed(stream, hello) as subscription,
            ):
                sending = self._send(stream, subscription, context)
                tasks.create_task(sending, name=f"stream to {agent.node}")
                await stream.ended.wait()
            # The node is let go of by now. What may be left is a write that its peer does not take:
            # gRPC can neither take that back nor say anything behind it, only wait for the peer or
            # for the end of the connection, and until then the call counts as the node's.
        return stream.end_reason

    async def _send(self, stream: Stream, subscription: NodeSubscription, context: Context) -> None:
        """Write what there is to say, and a heartbeat after a silence, until someone ends it."""
        silent_since, silent = self._clock.now(), False
        while self._check_open(stream):
            stream.changed.clear()
            updates = subscription.take()
            if not updates and silent:
                updates = [Heartbeat(self._clock.now())]
            for message in encode_updates(updates):
                if not self._check_open(stream):
                    return
                try:
                    await context.write(message)
                except grpc.aio.BaseError:  # The peer went in the middle of it.
                    stream.end(UNREACHABLE)
            now = self._clock.now()
            # A clock that was set back must not make a silence of a heartbeat.
            silent_since = now if updates else min(silent_since, now)
            silent = not await self._clock.wait_until(stream.changed, silent_since + HEARTBEAT)
            if not silent:
                await self._clock.sleep(self._gather)

    def _check_open(self, stream: Stream) -> bool:
        """Tell whether *stream* is open; it ends here where its agent's pod does not run any more.

        A level, asked before every write: no message leaves after the watch has shown the end.
        """
        if not self._broker.runs(stream.agent):
            stream.end(POD_GONE)
        return stream.is_open

    def _wake(self, stream: Stream) -> None:
        self._check_open(stream)  # Also where the sending task is stuck in a write.
        stream.changed.set()

    @contextlib.contextmanager
    def _subscribed(self, stream: Stream, hello: Hello) -> Generator[NodeSubscription]:
        fields = {"node": stream.agent.node, "agent_version": hello.version}
        now = self._clock.now()
        wake = partial(self._wake, stream)
        subscription = self._broker.connect(stream.agent, hello, wake, now)
        log.info("an agent connected", extra={**fields, "held": len(hello.held)})
        try:
            yield subscription
        finally:
            self._broker.disconnect(subscription, self._clock.now())
            log.info("an agent disconnected", extra=fields)
