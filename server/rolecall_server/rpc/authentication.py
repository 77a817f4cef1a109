"""Who calls: the bearer token of a call, whose it is, and whether the call is let in."""

from collections.abc import Iterable
from typing import Any

import grpc

from rolecall_common.callbacks import Reporting
from rolecall_common.clock import Clock
from rolecall_common.secret import Secret
from rolecall_server.engine.broker import Broker
from rolecall_server.model.authenticator import Agent, AuthenticationError, Authenticator
from rolecall_server.rpc.refusals import (
    BY_ERROR,
    NO_TOKEN,
    NOT_SYNCED,
    STOPPING,
    TOO_MANY,
    Refusals,
)
from rolecall_server.rpc.streams import Streams

# A projected ServiceAccount token has about 1 KiB; 8 KiB is what proxies and gRPC itself allow.
MAX_AUTHORIZATION = 8 * 1024

# gRPC's own types do not say which messages a context is for in a way that both calls could share.
Context = grpc.aio.ServicerContext[Any, Any]


class Authentication:
    """Lets agents in: while the server serves, by their tokens, and so many calls of each node."""

    def __init__(
        self,
        broker: Broker,
        authenticator: Authenticator,
        streams: Streams,
        refusals: Refusals,
        clock: Clock,
    ) -> None:
        self._broker = broker
        self._authenticator = authenticator
        self._streams = streams
        self._refusals = refusals
        self._clock = clock
        self._closed = False

    @property
    def is_open(self) -> bool:
        """Whether an agent that comes now is let in."""
        return self._broker.synced and not self._closed

    def close(self) -> None:
        """Let nobody in any more, nor whoever is on the way in."""
        self._closed = True

    async def authenticate(self, context: Context) -> tuple[Agent, Secret]:
        """Return who calls, and by which token; the call counts as the node's until it is over.

        Whoever is not let in has its call aborted.
        """
        refuse = self._refusals.refuse
        if not self.is_open:
            await refuse(context, STOPPING if self._closed else NOT_SYNCED, self._clock.now())
        token = bearer_token(context.invocation_metadata() or ())
        if token is None:
            await refuse(context, NO_TOKEN, self._clock.now())
        try:
            agent = await self._authenticator.authenticate(token)
        except AuthenticationError as error:
            await refuse(context, BY_ERROR[type(error)], self._clock.now(), error)
        if self._closed:  # While the token was looked into.
            await refuse(context, STOPPING, self._clock.now())
        if not self._streams.begin_call(agent.node):
            await refuse(context, TOO_MANY, self._clock.now())

        @Reporting()
        def over(_: Context) -> None:
            self._streams.end_call(agent.node)

        context.add_done_callback(over)  # type: ignore[arg-type]  # no Protocol
        return agent, token


def bearer_token(metadata: Iterable[tuple[str, str | bytes]]) -> Secret | None:
    """Return the token; None where there is none, more than one, or one that is too long."""
    values = [value for key, value in metadata if key == "authorization"]
    if len(values) != 1 or not isinstance(values[0], str):
        return None
    if len(values[0]) > MAX_AUTHORIZATION:
        return None
    scheme, _, token = values[0].partition(" ")
    return Secret(token) if scheme.lower() == "bearer" and token else None
