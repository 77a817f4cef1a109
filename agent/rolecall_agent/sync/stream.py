"""Follows one server's stream, and finds another one when it ends. The node is served meanwhile.

A stream ends for many reasons and all of them are ordinary, so `run` never returns: it counts the
reason, waits a little (longer and longer where nobody answers) and tries the next server.
"""

import asyncio
import itertools
import logging
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NoReturn, Protocol

import grpc

from rolecall_agent.sync.ca_bundle import CaBundle, CaBundleFile
from rolecall_agent.sync.channel import Access, TokenError
from rolecall_agent.sync.resolver import Resolver
from rolecall_agent.sync.stream_end import EndReason, StreamEnd, stream_end_by
from rolecall_common.backoff import Backoff
from rolecall_common.clock import Clock
from rolecall_proto.codec import Malformed, decode_update, encode_hello
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.v1 import broker_pb2_grpc
from rolecall_proto.values import Heartbeat, Hello, SnapshotEnd, Update

log = logging.getLogger(__name__)

# A fleet that lost its server together comes back over a fifth of a second, then ever more seldom.
RECONNECT = Backoff(first=timedelta(milliseconds=200), most=timedelta(seconds=10), jitter=0.8)
# Connecting takes some milliseconds, and a server that asks TokenReview some more.
FIRST_MESSAGE = timedelta(seconds=10)
# Servers send a heartbeat every ten seconds; silence is noticed after one to two of these.
SILENCE = timedelta(seconds=15)
REREAD_CA_BUNDLE = timedelta(seconds=30)
PROOF = 10.0  # How long a server may take to prove itself by a new bundle, in seconds.


class Listener(Protocol):
    """Whoever takes in what the server says."""

    def hello(self) -> Hello:
        """Return how to open a stream now: the version, and what is held already."""
        ...

    def begin(self) -> None:
        """Note that a stream has begun: what comes next is a snapshot."""
        ...

    def apply(self, update: Update) -> None:
        """Take in one update."""
        ...


@dataclass(frozen=True, slots=True)
class Statistics:
    """How the stream stands, for metrics and health."""

    connected: bool  # A stream is open, and its snapshot was whole.
    server: str  # The server that is followed, or tried.
    last_message_at: datetime | None
    end_reasons: Mapping[EndReason, int]
    skipped: int  # Updates that could not be understood.
    server_clock_ahead: timedelta | None  # As of the last heartbeat; the way here included.


@dataclass(slots=True)
class _Stream:
    server: str
    # In quotes, here and elsewhere: only the stubs of the generated code know this class.
    stub: "broker_pb2_grpc.BrokerAsyncStub"
    messages: int = 0
    whole: bool = False
    accepted: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Future[StreamEnd] = field(default_factory=asyncio.Future)

    def end(self, end: StreamEnd) -> None:
        if not self.ended.done():
            self.ended.set_result(end)


class StreamClient:
    """Keeps the listener up to date by the stream of one server, whichever answers.

    What *resolver* is to ask is asked of the same one: the stream is the answer.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it is made of
        self,
        access: Access,
        ca_bundle_file: CaBundleFile,
        listener: Listener,
        clock: Clock,
        dice: random.Random,
        resolver: Resolver,
    ) -> None:
        if not access.servers:
            raise ValueError("an agent needs at least one server to follow")
        # Another order on each node, so that replicas share the nodes.
        self._servers = dice.sample(access.servers, len(access.servers))
        self._access = access
        self._ca_bundle_file = ca_bundle_file
        self._listener = listener
        self._clock = clock
        self._dice = dice
        self.resolver = resolver
        self._stream: _Stream | None = None
        self._last_message_at: datetime | None = None
        self._end_reasons: Counter[EndReason] = Counter()
        self._skipped = 0
        self._server_clock_ahead: timedelta | None = None

    def statistics(self) -> Statistics:
        return Statistics(
            connected=self._stream is not None and self._stream.whole,
            server=self._stream.server if self._stream else "",
            last_message_at=self._last_message_at,
            end_reasons=dict(self._end_reasons),
            skipped=self._skipped,
            server_clock_ahead=self._server_clock_ahead,
        )

    async def run(self) -> NoReturn:
        """Follow one server after the other until cancelled."""
        failures = 0
        for server in itertools.cycle(self._servers):
            whole = await self._follow(server)
            failures = 1 if whole else failures + 1
            await self._clock.sleep(RECONNECT.delay(failures, self._dice))
        raise AssertionError("a cycle has no end")

    async def _follow(self, server: str) -> bool:
        """Follow *server* for as long as it goes; tell whether its snapshot came whole."""
        self._ca_bundle_file.use(self._ca_bundle_file.reread())
        async with self._access.channel(server, self._ca_bundle_file.bundle) as channel:
            stream = self._stream = _Stream(server, broker_pb2_grpc.BrokerStub(channel))
            try:
                self._note(stream, await self._until_end(stream))
            finally:
                self._stream = None
        return stream.whole

    async def _until_end(self, stream: _Stream) -> StreamEnd:
        """Return why *stream* ended, as soon as the first of its tasks says so.

        They say it by a value: before Python 3.13 a group that is cancelled just as one of its
        tasks fails forgets the cancellation, and a client told to stop would go on for ever.
        """
        watches = {
            "read": self._read(stream),
            "watch for silence": self._watch_for_silence(stream),
            "watch the CA bundle": self._watch_ca_bundle(stream),
            "ask about addresses": self._ask(stream),
        }
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each, name=name) for name, each in watches.items()]
            end = await stream.ended
            for task in tasks:
                task.cancel()
        return end

    def _note(self, stream: _Stream, end: StreamEnd) -> None:
        self._end_reasons[end.reason] += 1
        fields = {"server": stream.server, "reason": end.reason, "detail": end.detail}
        if stream.whole:
            log.info("the stream ended", extra=fields)
        else:
            log.warning("no stream from this server", extra=fields)

    async def _read(self, stream: _Stream) -> None:
        try:
            metadata = self._access.metadata()
            call = stream.stub.WatchNode(encode_hello(self._listener.hello()), metadata=metadata)
            async for message in call:
                if message is None:  # gRPC's word for bytes that are no message.
                    stream.end(StreamEnd(EndReason.REFUSED, "a message that cannot be read"))
                    return
                self._receive(stream, message)
        except TokenError as error:
            stream.end(StreamEnd(EndReason.TOKEN_UNUSABLE, str(error)))
        except grpc.aio.AioRpcError as error:
            stream.end(stream_end_by(error))
        else:
            stream.end(StreamEnd(EndReason.FINISHED))

    def _receive(self, stream: _Stream, message: pb.NodeUpdates) -> None:
        if not stream.messages:
            self._listener.begin()
            stream.accepted.set()
        stream.messages += 1
        self._last_message_at = self._clock.now()
        for update in message.updates:
            self._take_in(stream, decode_update(update), self._last_message_at)

    def _take_in(self, stream: _Stream, update: Update | Malformed | None, now: datetime) -> None:
        match update:
            case None | Malformed():
                self._skip(update)
                return
            case SnapshotEnd():
                stream.whole = True
            case Heartbeat(sent_at):
                self._server_clock_ahead = sent_at - now
            case _:
                pass
        self._listener.apply(update)
        if isinstance(update, SnapshotEnd):  # Said when it is so: all of it is taken in.
            log.info("following a server", extra={"server": stream.server})

    def _skip(self, update: Malformed | None) -> None:
        self._skipped += 1
        reason = update.problem if update else "a kind that this version does not know"
        log.warning("an update was skipped", extra={"reason": reason})

    async def _watch_for_silence(self, stream: _Stream) -> None:
        # Counts messages, and does not compare times: a clock that is set back is not a silence.
        heard, patience = -1, FIRST_MESSAGE
        while heard != stream.messages:
            heard = stream.messages
            await self._clock.sleep(patience)
            patience = SILENCE
        stream.end(StreamEnd(EndReason.SILENT))

    async def _watch_ca_bundle(self, stream: _Stream) -> None:
        """End the stream when the bundle has changed, once a connection by the new one succeeds.

        A stream that is open does not need the new bundle; a wrong one must not cost it.
        """
        while True:
            await self._clock.sleep(REREAD_CA_BUNDLE)
            bundle = self._ca_bundle_file.reread()
            if bundle != self._ca_bundle_file.bundle and await self._proves(stream.server, bundle):
                break
        stream.end(StreamEnd(EndReason.CA_BUNDLE_CHANGED))

    async def _proves(self, server: str, bundle: CaBundle) -> bool:
        async with self._access.channel(server, bundle) as channel:
            try:
                await asyncio.wait_for(channel.channel_ready(), PROOF)
            except TimeoutError:
                log.warning("the new CA bundle does not fit the server", extra={"server": server})
                return False
        return True

    async def _ask(self, stream: _Stream) -> NoReturn:
        await stream.accepted.wait()  # Before, the server would not know for which node.
        await self.resolver.run(stream.stub)
