"""The server's own credentials: held, fetched again from time to time, renewed when refused."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from rolecall_common.clock import Clock
from rolecall_common.secret import Secret
from rolecall_server.model.issuer import IssueError

log = logging.getLogger(__name__)

# After a failed fetch there is no hurry while what is held still works.
_AFTER_FAILURE = timedelta(seconds=10)
# STS may refuse keys that are as new as any: then there is nothing to be had by fetching at once.
_AFTER_REFUSAL = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class OwnCredentials:
    """What a call is signed with."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """Credentials, and when to fetch newer ones."""

    credentials: OwnCredentials
    fetch_again_at: datetime


class Fetch(Protocol):
    """Finds the newest credentials."""

    def __call__(self, refused: OwnCredentials | None = None, /) -> Awaitable[Fetched]:
        """Return them; what has been *refused* only where there is no other.

        Raises any IssueError, and nothing else, within half a minute.
        """
        ...


class OwnCredentialsProvider:
    """Hands out own credentials: one fetch at a time, however many calls want them.

    While a fetch is under way, or has failed, calls go on with what is held: only STS can tell that
    it is no good, and then `renewed` is asked.
    """

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._held: OwnCredentials | None = None
        self._fetch_again_at = clock.now()
        self._renewed_at: datetime | None = None  # When `renewed` had a fetch made.
        self._fetching = asyncio.Lock()
        self._fetches = 0
        self._failure: IssueError | None = None

    async def current(self) -> OwnCredentials:
        """Return what to sign with. Raises IssueError where there are none to be had."""
        held = self._held
        if held is None:
            return await self._fetch_once()
        if self._clock.now() >= self._fetch_again_at and not self._fetching.locked():
            try:
                return await self._fetch_once()
            except IssueError as error:
                log.warning(
                    "newer own credentials could not be fetched", extra={"error": str(error)}
                )
        return held

    async def renewed(self, refused: OwnCredentials) -> OwnCredentials:
        """Return what is newer than *refused*, or the same where there is nothing newer.

        Raises: IssueError where nobody could tell.
        """
        if self._held is not None and self._held != refused:
            return self._held
        now = self._clock.now()
        if self._renewed_at is not None and abs(now - self._renewed_at) < _AFTER_REFUSAL:
            return refused
        keys = await self._fetch_once(refused)
        self._renewed_at = now
        return keys

    async def _fetch_once(self, refused: OwnCredentials | None = None) -> OwnCredentials:
        """Fetch, or share the outcome of the fetch that was under way."""
        fetches = self._fetches
        async with self._fetching:
            if self._fetches == fetches:
                await self._fetch_now(refused)
        if self._failure is not None:
            raise self._failure
        assert self._held is not None  # noqa: S101 (a fetch that did not fail has found)
        return self._held

    async def _fetch_now(self, refused: OwnCredentials | None) -> None:
        try:
            fetched = await self._fetch(refused)
        except IssueError as error:
            self._failure = error
            self._fetch_again_at = self._clock.now() + _AFTER_FAILURE
        else:
            self._failure = None
            self._held = fetched.credentials
            self._fetch_again_at = fetched.fetch_again_at
        self._fetches += 1
