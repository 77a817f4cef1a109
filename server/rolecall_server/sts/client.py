"""The issuer over STS: one call for an identity, and what its end means."""

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from time import perf_counter
from typing import TypeVar

from rolecall_common.clock import Clock
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import Issued, IssueError, RefusedError, UnavailableError
from rolecall_server.sts import requests
from rolecall_server.sts.endpoint import Endpoint
from rolecall_server.sts.error_codes import REFUSALS, CallError, CallOutcome
from rolecall_server.sts.own_credentials import OwnCredentials, OwnCredentialsProvider
from rolecall_server.sts.replies import (
    Caller,
    as_issue_error,
    read_caller,
    read_reply,
    read_session,
)
from rolecall_server.sts.sigv4 import Signer
from rolecall_server.sts.transport import Transport

# What the metric wants of every call: how it ended, and how long it took.
Observe = Callable[[CallOutcome, timedelta], None]

_T = TypeVar("_T")


class StsClient:
    """Issues credentials, signing with *own* credentials."""

    def __init__(
        self, transport: Transport, own: OwnCredentialsProvider, clock: Clock, observe: Observe
    ) -> None:
        self._transport = transport
        self._own = own
        self._clock = clock
        self._observe = observe
        self._signer = Signer(transport.endpoint.host, transport.endpoint.region)

    @property
    def endpoint(self) -> Endpoint:
        return self._transport.endpoint

    async def issue(self, identity: Identity) -> Issued:
        """Call STS once for *identity*; twice where own credentials had to be renewed.

        Raises: RefusedError, ThrottledError, UnavailableError.
        """
        if identity.region not in ("", self.endpoint.region):
            raise RefusedError(
                REFUSALS[CallOutcome.INVALID],
                f"this server calls STS in {self.endpoint.region}, not in {identity.region}",
            )
        return await self._ask(requests.assume_role(identity), read_session)

    async def warm_up(self) -> None:
        """Fetch own credentials before the first call wants them, which takes a while.

        Whatever goes wrong is said by that call.
        """
        with contextlib.suppress(IssueError):
            await self._own.current()

    async def caller(self) -> Caller:
        """Ask who the server is. Raises as `issue`."""
        return await self._ask(requests.CALLER_IDENTITY, lambda body, _: read_caller(body))

    async def _ask(self, body: bytes, read: Callable[[bytes, datetime], _T]) -> _T:
        keys = await self._own.current()
        try:
            return await self._call(body, keys, read)
        except _OwnCredentialsRefusedError as error:
            newer = await self._own.renewed(keys)
            if newer == keys:
                raise UnavailableError(str(error)) from error
        try:
            return await self._call(body, newer, read)
        except _OwnCredentialsRefusedError as error:
            raise UnavailableError(f"{error}, though they were renewed") from error

    async def _call(
        self, body: bytes, keys: OwnCredentials, read: Callable[[bytes, datetime], _T]
    ) -> _T:
        asked_at = self._clock.now()
        started = perf_counter()
        try:
            reply = await self._transport.post(body, self._signer.headers(body, keys, asked_at))
            value = read_reply(reply, keys, asked_at, lambda body: read(body, asked_at))
        except CallError as error:
            self._observe(error.outcome, timedelta(seconds=perf_counter() - started))
            if error.outcome is CallOutcome.OWN_CREDENTIALS:
                raise _OwnCredentialsRefusedError(error.explanation) from error
            raise as_issue_error(error) from error
        self._observe(CallOutcome.OK, timedelta(seconds=perf_counter() - started))
        return value


class _OwnCredentialsRefusedError(Exception):
    """STS does not take the keys that the call was signed with."""
