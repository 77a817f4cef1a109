"""Judges again, from time to time, whoever was let in: a token's owner may be none any more."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from rolecall_common.clock import Clock
from rolecall_server.model.authenticator import Authority, AuthorityError, UndecidedError
from rolecall_server.rpc.refusals import BY_AUTHORITY, GONE, Refusal
from rolecall_server.rpc.streams import Stream, Streams

log = logging.getLogger(__name__)

# How often it is looked whose token is to be judged again: little beside the five minutes that a
# review is good for, and soon after an outage in which nobody could be asked.
LOOK = timedelta(seconds=10)
_LATEST = datetime.max.replace(tzinfo=UTC)
_TURN = 25  # streams: some three milliseconds, where their signatures have to do


async def judge_again(streams: Streams, authority: Authority, clock: Clock) -> NoReturn:
    """Judge each stream's token when its time has come, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        now = clock.now()
        while True:
            before = now
            await clock.sleep(LOOK)
            now = clock.now()
            # A clock that was set back must not put anybody off: all are due then.
            moment = now if now >= before else _LATEST
            due = [stream for stream in streams if stream.take_due(moment)]
            for number, stream in enumerate(due, 1):
                name = f"judge {stream.agent.node} again"
                tasks.create_task(_judge(stream, authority, clock), name=name)
                # In an outage all are due at every look. Others have their turn in between.
                if number % _TURN == 0:
                    await asyncio.sleep(0)
    raise AssertionError("the loop above has no end")


async def _judge(stream: Stream, authority: Authority, clock: Clock) -> None:
    try:
        agent = await authority.authenticate(stream.token)
    except UndecidedError:
        # It goes on for as long as its pod runs, and is judged at the next look.
        stream.again_at = clock.now()
    except AuthorityError as error:
        _turn_out(stream, BY_AUTHORITY[type(error)], str(error))
    else:
        stream.again_at = agent.again_at
        if agent != stream.agent:
            _turn_out(stream, GONE, "the agent's pod is on another node")


def _turn_out(stream: Stream, refusal: Refusal, why: str) -> None:
    fields = {"node": stream.agent.node, "reason": why}
    log.warning("an agent that was let in is refused now", extra=fields)
    stream.end(refusal)
