"""Asks the server whose stream is open about addresses at which requests wait."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn, Protocol

import grpc

from rolecall_agent.sync.channel import Access, TokenError
from rolecall_agent.sync.resolve_queue import ResolveQueue
from rolecall_agent.witness.entries import NO_QUERY, Query
from rolecall_common.clock import Clock
from rolecall_proto.codec import MAX_QUESTIONS, decode_confirmations, encode_question
from rolecall_proto.v1 import broker_pb2_grpc
from rolecall_proto.values import Address, Confirmation, PodUid

log = logging.getLogger(__name__)

# The question may not have come to anybody who could answer it: the next server is asked.
_CUT_OFF = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
ANSWER = 0.9  # Seconds for the answer to a question: who waits longer asks anew.


class LiveReads(Protocol):
    """Whoever needs pods read anew, to know whether they still have an address: the witness."""

    def query(self, addresses: Iterable[Address]) -> Query: ...
    def answer(self, query: Query, read: Mapping[PodUid, Confirmation]) -> None: ...


class NoLiveReads:
    """Where the kernel is not asked, nothing has to be read anew."""

    def query(self, addresses: Iterable[Address]) -> Query:  # noqa: ARG002 - the protocol's
        return NO_QUERY

    def answer(self, query: Query, read: Mapping[PodUid, Confirmation]) -> None: ...


class Resolver:
    """Turns waiting requests into ResolvePods calls. The stream brings what comes of them.

    Which pods to read anew because of those addresses is asked with them, and answered by the call
    itself.
    """

    def __init__(self, access: Access, clock: Clock, live_reads: LiveReads) -> None:
        self._access = access
        self._clock = clock
        self._live_reads = live_reads
        self._queue = ResolveQueue()

    def enqueue(self, address: Address) -> None:
        """Note that a request waits for the pod at *address*. Cheap: one question a second."""
        self._queue.enqueue(address, self._clock.now())

    def invalidate(self, addresses: Iterable[Address]) -> None:
        """Note that what was asked about *addresses* is outdated: the next request asks again."""
        self._queue.invalidate(addresses)

    async def run(self, stub: "broker_pb2_grpc.BrokerAsyncStub") -> NoReturn:
        """Ask by *stub* until cancelled; what has no answer by then, the next run asks again."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    if addresses := self._queue.take(self._clock.now()):
                        name = f"ask about {len(addresses)} addresses"
                        tasks.create_task(self._ask(stub, addresses), name=name)
                    await self._queue.changed.wait()
        finally:
            self._queue.requeue_all()

    async def _ask(
        self, stub: "broker_pb2_grpc.BrokerAsyncStub", addresses: Sequence[Address]
    ) -> None:
        try:
            metadata = self._access.metadata()
            query = self._live_reads.query(addresses)
            asked = query.uids[:MAX_QUESTIONS]
            question = encode_question(addresses, asked)
            answer = await stub.ResolvePods(question, metadata=metadata, timeout=ANSWER)
            self._live_reads.answer(query, decode_confirmations(answer, asked))
        except (TokenError, grpc.aio.AioRpcError) as error:
            # The stream may tell of the pods all the same, and a request that returns asks again.
            log.debug("a question was not answered", extra={"reason": type(error).__name__})
            if isinstance(error, grpc.aio.AioRpcError) and error.code() in _CUT_OFF:
                self._queue.requeue(addresses)
                return
        self._queue.answered(addresses, self._clock.now())
