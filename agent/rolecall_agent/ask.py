"""Asks the server that is followed about addresses at which requests wait."""

import asyncio
import logging
from collections.abc import Sequence
from typing import NoReturn

import grpc

from rolecall_agent.channel import Access, TokenError
from rolecall_agent.questions import Questions
from rolecall_common.clock import Clock
from rolecall_proto.codec import encode_question
from rolecall_proto.v1 import broker_pb2_grpc
from rolecall_proto.values import Address

log = logging.getLogger(__name__)

ANSWER = 0.9  # Nobody waits longer than that for the answer to a question, in seconds.


class Asker:
    """Turns waiting requests into ResolvePods calls. The stream brings what comes of them."""

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        self._questions = Questions()

    def want(self, address: Address) -> None:
        """Note that a request waits for the pod at *address*. Cheap: one question a second."""
        self._questions.want(address, self._clock.now())

    async def run(self, stub: "broker_pb2_grpc.BrokerAsyncStub") -> NoReturn:
        """Ask by *stub* until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                if addresses := self._questions.take(self._clock.now()):
                    name = f"ask about {len(addresses)} addresses"
                    tasks.create_task(self._ask(stub, addresses), name=name)
                await self._questions.raised.wait()

    async def _ask(
        self, stub: "broker_pb2_grpc.BrokerAsyncStub", addresses: Sequence[Address]
    ) -> None:
        try:
            metadata = self._access.metadata()
            await stub.ResolvePods(encode_question(addresses), metadata=metadata, timeout=ANSWER)
        except (TokenError, grpc.aio.AioRpcError) as error:
            # The stream may tell of the pods all the same, and a request that returns asks again.
            log.debug("a question was not answered", extra={"reason": type(error).__name__})
        finally:
            self._questions.answered(addresses, self._clock.now())
