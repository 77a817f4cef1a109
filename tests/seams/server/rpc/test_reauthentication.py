"""Whoever was let in is authenticated again: some at a time, and whatever the clock does."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import timedelta

from fakes.clock import FakeClock
from rolecall_common.secret import Secret
from rolecall_proto.values import NodeName
from rolecall_server.model.authenticator import Agent
from rolecall_server.rpc.reauthentication import PERIOD, reauthenticate
from rolecall_server.rpc.streams import Streams


class CountingAuthenticator:
    """Lets everybody in until further notice, and counts whom, turn by turn of the loop."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.by_turn = [0]

    async def authenticate(self, token: Secret) -> Agent:
        self.by_turn[-1] += 1
        return Agent(NodeName(token.reveal()), recheck_at=self.clock.now() + timedelta(hours=1))

    async def authenticated(self, number: int) -> None:
        """Return once so many were authenticated in all."""
        async with asyncio.timeout(10):
            while sum(self.by_turn) < number:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0)

    async def count_turns(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.by_turn.append(0)


@contextlib.asynccontextmanager
async def reauthenticating(clock: FakeClock, streams: int) -> AsyncGenerator[CountingAuthenticator]:
    """Authenticate the owners of so many open streams, all of which are due at once."""
    authenticator, opened = CountingAuthenticator(clock), Streams()
    with contextlib.ExitStack() as stack:
        for number in range(streams):
            agent = Agent(NodeName(f"node-{number}"), recheck_at=clock.now())
            stack.enter_context(opened.opened(agent, Secret(agent.node)))
        tasks = [
            asyncio.create_task(reauthenticate(opened, authenticator, clock)),
            asyncio.create_task(authenticator.count_turns()),
        ]
        yield authenticator
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_fleet_is_authenticated_some_at_a_time() -> None:
    """Nobody waits for five thousand signatures, each of which is a tenth of a millisecond."""
    clock = FakeClock()
    async with reauthenticating(clock, 120) as authenticator:
        await clock.asleep()
        clock.advance(PERIOD)
        await authenticator.authenticated(120)

    assert max(authenticator.by_turn) == 25


async def test_a_clock_that_is_set_back_puts_nobody_off() -> None:
    """All are authenticated at the next look, and each in its time from then on."""
    clock = FakeClock()
    async with reauthenticating(clock, 3) as authenticator:
        await clock.asleep_until(clock.now() + PERIOD)
        clock.advance(PERIOD)
        await authenticator.authenticated(3)
        await clock.asleep_until(clock.now() + PERIOD)
        clock.set_back(timedelta(hours=2))
        clock.advance(PERIOD)
        await authenticator.authenticated(6)
