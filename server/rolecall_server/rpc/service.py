"""The servicer of `broker.proto`: reads each request, and hands it to the part that answers it."""

from collections import Counter
from datetime import timedelta
from typing import NoReturn

import grpc

from rolecall_common.callbacks import reports_all_but
from rolecall_common.clock import Clock
from rolecall_proto.codec import (
    Malformed,
    decode_confirm,
    decode_hello,
    decode_question,
    encode_resolutions,
)
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.v1 import broker_pb2_grpc
from rolecall_server.engine.broker import Broker
from rolecall_server.model.authenticator import Authenticator
from rolecall_server.rpc.authentication import Authentication, Context
from rolecall_server.rpc.reauthentication import reauthenticate
from rolecall_server.rpc.refusals import NO_STREAM, STOPPING, TOO_OFTEN, Refusal, Refusals
from rolecall_server.rpc.resolving import PodReader, PodResolver
from rolecall_server.rpc.streams import Streams
from rolecall_server.rpc.watch_stream import UpdateStreamer


class Service(broker_pb2_grpc.BrokerServicer):
    """Answers agents. Who asks is the authenticator's to say, and everything else the broker's."""

    def __init__(
        self,
        broker: Broker,
        authenticator: Authenticator,
        clock: Clock,
        *,
        gather: timedelta = timedelta(0),
        pod_reader: PodReader | None = None,
    ) -> None:
        """*gather* is how long a change waits for others, to be sent in the same message.

        *pod_reader* is None where nobody could: what the source has told is all that there is then.
        """
        self._authenticator = authenticator
        self._clock = clock
        self._streams = Streams()
        self._refusals = Refusals()
        self._authentication = Authentication(
            broker, authenticator, self._streams, self._refusals, clock
        )
        self._streamer = UpdateStreamer(broker, self._streams, clock, gather)
        self._resolver = PodResolver(broker, pod_reader, clock)

    @property
    def serving(self) -> bool:
        """Whether an agent that comes now is let in."""
        return self._authentication.is_open

    @property
    def refused(self) -> Counter[grpc.StatusCode]:
        """Calls that were refused, by status; for metrics."""
        return self._refusals.by_code

    def close(self) -> None:
        """End every stream and let nobody in any more: agents go on with what they hold."""
        self._authentication.close()
        for stream in self._streams:
            stream.end(STOPPING)

    async def run(self) -> NoReturn:
        """Authenticate the owners of open streams again, each when its time has come."""
        await reauthenticate(self._streams, self._authenticator, self._clock)

    # A coroutine, where the generated class knows generators only: of those a cancelled one is
    # closed by the garbage collector, and its node would stay connected until then.
    @reports_all_but(grpc.aio.BaseError)
    async def WatchNode(  # type: ignore[override]  # see above  # noqa: N802 - the protocol's name
        self, request: pb.WatchNodeRequest, context: Context
    ) -> None:
        agent, token = await self._authentication.authenticate(context)
        hello = decode_hello(request)
        if isinstance(hello, Malformed):
            await self._refuse(context, _invalid(hello))
        await context.abort(*await self._streamer.run(agent, token, hello, context))

    @reports_all_but(grpc.aio.BaseError)
    async def ResolvePods(  # noqa: N802 - the protocol's name
        self, request: pb.ResolvePodsRequest, context: Context
    ) -> pb.ResolvePodsResponse:
        agent, _ = await self._authentication.authenticate(context)
        now = self._clock.now()
        node = self._streams.of(agent.node)
        if node is None:
            await self._refuse(context, NO_STREAM)
        addresses, doubted = decode_question(request), decode_confirm(request)
        if isinstance(addresses, Malformed):
            await self._refuse(context, _invalid(addresses))
        if isinstance(doubted, Malformed):
            await self._refuse(context, _invalid(doubted))
        if not node.questions.take(len(addresses) + len(doubted), now):
            await self._refuse(context, TOO_OFTEN)
        resolved = await self._resolver.resolve(agent.node, addresses)
        return encode_resolutions(resolved, await self._resolver.confirm(agent.node, doubted))

    async def _refuse(self, context: Context, refusal: Refusal) -> NoReturn:
        await self._refusals.refuse(context, refusal, self._clock.now())


def _invalid(request: Malformed) -> Refusal:
    return grpc.StatusCode.INVALID_ARGUMENT, request.problem
