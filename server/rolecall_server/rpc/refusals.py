"""Calls that are refused: what the caller is told, how many there were, and a log that stays short.

What agents are told is constant: the reason of a refusal is in our log, not in theirs.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NoReturn

import grpc

from rolecall_server.model.authenticator import (
    AuthenticationError,
    ForbiddenError,
    UnauthenticatedError,
    UndecidedError,
)

log = logging.getLogger(__name__)

Refusal = tuple[grpc.StatusCode, str]

NOT_SYNCED: Refusal = (grpc.StatusCode.UNAVAILABLE, "not synced yet")
STOPPING: Refusal = (grpc.StatusCode.UNAVAILABLE, "the server is stopping")
NO_TOKEN: Refusal = (grpc.StatusCode.UNAUTHENTICATED, "one bearer token is needed")
BAD_TOKEN: Refusal = (grpc.StatusCode.UNAUTHENTICATED, "the token was not accepted")
NO_AGENT: Refusal = (grpc.StatusCode.PERMISSION_DENIED, "the token is not an agent's")
UNDECIDED: Refusal = (grpc.StatusCode.UNAVAILABLE, "nobody can tell yet whose token this is")
NO_STREAM: Refusal = (grpc.StatusCode.FAILED_PRECONDITION, "this node has no stream here")
TOO_OFTEN: Refusal = (grpc.StatusCode.RESOURCE_EXHAUSTED, "this node asks too often")
TOO_MANY: Refusal = (grpc.StatusCode.RESOURCE_EXHAUSTED, "this node has too many calls open")
# What each of the authenticator's errors is to the caller.
BY_ERROR: Mapping[type[AuthenticationError], Refusal] = MappingProxyType(
    {UnauthenticatedError: BAD_TOKEN, ForbiddenError: NO_AGENT, UndecidedError: UNDECIDED}
)
# How open streams end.
SUPERSEDED: Refusal = (grpc.StatusCode.ABORTED, "newer streams of this node took over")
POD_GONE: Refusal = (grpc.StatusCode.UNAVAILABLE, "the agent's pod is not on this node any more")
UNREACHABLE: Refusal = (grpc.StatusCode.UNAVAILABLE, "the agent does not hear us any more")

# Whoever has no token can still make us write: one line of a kind a minute is what that comes to.
QUIET = timedelta(minutes=1)


class Refusals:
    """Counts refused calls, and logs the first of a kind in a minute; the others only for DEBUG."""

    def __init__(self) -> None:
        self.by_code: Counter[grpc.StatusCode] = Counter()
        self._said_at: dict[Refusal, datetime] = {}
        self._unsaid: Counter[Refusal] = Counter()

    async def refuse(
        self,
        context: grpc.aio.ServicerContext[Any, Any],
        refusal: Refusal,
        now: datetime,
        why: Exception | None = None,
    ) -> NoReturn:
        """Abort the call of *context* with *refusal*; *why* is for the operator alone."""
        code, told = refusal
        self.note(refusal, context.peer(), str(why or told), now)
        await context.abort(code, told)

    def note(self, refusal: Refusal, peer: str, why: str, now: datetime) -> None:
        """Take in that a call of *peer* was refused; *why* is for the operator."""
        code, _ = refusal
        self.by_code[code] += 1
        fields = {"peer": peer, "code": code.name, "reason": why}
        said_at = self._said_at.get(refusal)
        # A clock that was set back must not silence anything until it has caught up.
        if said_at is not None and timedelta() <= now - said_at < QUIET:
            self._unsaid[refusal] += 1
            log.debug("an agent's call was refused", extra=fields)
            return
        self._said_at[refusal] = now
        unsaid = self._unsaid.pop(refusal, 0)
        log.info("an agent's call was refused", extra={**fields, "unsaid": unsaid})
