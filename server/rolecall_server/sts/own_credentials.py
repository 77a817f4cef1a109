"""The server's own credentials: held, looked at again from time to time, renewed when refused."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolecall_common.clock import Clock
from rolecall_common.secret import Secret
from rolecall_server.model.issuer import IssueError

log = logging.getLogger(__name__)

# After a failed look there is no hurry while what is held still works.
_AFTER_FAILURE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """What a call is signed with."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Keys, and when to look for newer ones."""

    keys: OwnKeys
    look_again: datetime


class Keyring:
    """Hands out own keys: one look at a time, however many calls want them.

    While a look is under way, or has failed, calls go on with the keys that are held: only STS can
    tell that they are no good, and then `renewed` is asked.
    """

    def __init__(self, look: Callable[[], Awaitable[Found]], clock: Clock) -> None:
        """*look* finds the newest keys; it may raise any IssueError, and nothing else."""
        self._look = look
        self._clock = clock
        self._held: OwnKeys | None = None
        self._look_again = clock.now()
        self._looking = asyncio.Lock()
        self._looks = 0
        self._failure: IssueError | None = None

    async def current(self) -> OwnKeys:
        """Return the keys to sign with. Raises IssueError where there are none to be had."""
        held = self._held
        if held is None:
            return await self._look_once()
        if self._clock.now() >= self._look_again and not self._looking.locked():
            try:
                return await self._look_once()
            except IssueError as error:
                log.warning("looking for newer own credentials failed", extra={"error": str(error)})
        return held

    async def renewed(self, refused: OwnKeys) -> OwnKeys:
        """Return keys newer than *refused*, or the same where there are no newer ones.

        Raises: IssueError where nobody could tell.
        """
        if self._held is not None and self._held != refused:
            return self._held
        return await self._look_once()

    async def _look_once(self) -> OwnKeys:
        """Look, or share the outcome of the look that was under way."""
        looks = self._looks
        async with self._looking:
            if self._looks == looks:
                await self._look_now()
        if self._failure is not None:
            raise self._failure
        assert self._held is not None  # noqa: S101 (a look that did not fail has found)
        return self._held

    async def _look_now(self) -> None:
        try:
            found = await self._look()
        except IssueError as error:
            self._failure = error
            self._look_again = self._clock.now() + _AFTER_FAILURE
        else:
            self._failure = None
            self._held = found.keys
            self._look_again = found.look_again
        self._looks += 1
