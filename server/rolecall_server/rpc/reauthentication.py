"""Authenticates again, from time to time, whoever was let in: its token may be revoked by now."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from rolecall_common.clock import Clock
from rolecall_server.model.authenticator import AuthenticationError, Authenticator, UndecidedError
from rolecall_server.rpc.refusals import BY_ERROR, POD_GONE, Refusal
from rolecall_server.rpc.streams import Stream, Streams

log = logging.getLogger(__name__)

# How often it is looked whose turn it is: little beside the five minutes that a review is good for,
# and soon after an outage in which nobody could be asked.
PERIOD = timedelta(seconds=10)
_LATEST = datetime.max.replace(tzinfo=UTC)
_TURN = 25  # streams: some three milliseconds, where their signatures have to do


async def reauthenticate(streams: Streams, authenticator: Authenticator, clock: Clock) -> NoReturn:
    """Authenticate the owner of each stream again when its time has come, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        now = clock.now()
        while True:
            before = now
            await clock.sleep(PERIOD)
            now = clock.now()
            # A clock that was set back must not put anybody off: all are due then.
            moment = now if now >= before else _LATEST
            due = [stream for stream in streams if stream.take_due(moment)]
            for number, stream in enumerate(due, 1):
                name = f"reauthenticate {stream.agent.node}"
                tasks.create_task(_reauthenticate(stream, authenticator, clock), name=name)
                # In an outage all are due at every look. Others have their turn in between.
                if number % _TURN == 0:
                    await asyncio.sleep(0)
    raise AssertionError("the loop above has no end")


async def _reauthenticate(stream: Stream, authenticator: Authenticator, clock: Clock) -> None:
    try:
        agent = await authenticator.authenticate(stream.token)
    except UndecidedError:
        # It goes on for as long as its pod runs, and its turn comes again at the next look.
        stream.recheck_at = clock.now()
    except AuthenticationError as error:
        _end(stream, BY_ERROR[type(error)], str(error))
    else:
        stream.recheck_at = agent.recheck_at
        if agent != stream.agent:
            _end(stream, POD_GONE, "the agent's pod is on another node")


def _end(stream: Stream, refusal: Refusal, why: str) -> None:
    fields = {"node": stream.agent.node, "reason": why}
    log.warning("an agent that was let in is refused now", extra=fields)
    stream.end(refusal)
