"""Own credentials from the AWS chain: environment, profile, web identity, process or metadata."""

import subprocess
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from botocore.config import Config  # type: ignore[import-untyped]  # it ships no types
from botocore.credentials import Credentials, RefreshableCredentials  # type: ignore[import-untyped]  # it ships no types
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # it ships no types
from botocore.session import Session  # type: ignore[import-untyped]  # it ships no types

from rolecall_common.clock import Clock
from rolecall_common.secret import Secret
from rolecall_server.model.issuer import IssueError, UnavailableError
from rolecall_server.sts.chain_reading import ChainReading
from rolecall_server.sts.own_credentials import Fetched, OwnCredentials

# botocore renews what it can refresh from 15 minutes before the end; static keys in a mounted
# Secret may change at any time. A fetch costs a few milliseconds.
FETCH_EVERY = timedelta(minutes=1)
# More than two attempts at a metadata service or at STS take by `make_session`, and less than a
# pod's SDK waits for in all. A process of the chain's may take for ever.
LONGEST = timedelta(seconds=20)

# What the chain fails with besides its own errors: those of the operating system and of processes,
# those of parsers of files and answers, and botocore's RuntimeError, which says that what was
# refreshed has ended already.
_FAILURES = (
    BotoCoreError,
    ClientError,
    OSError,
    subprocess.SubprocessError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
)

_NONE_FOUND = (
    "no AWS credentials for the server itself: give it a web identity (IRSA or another OIDC "
    "issuer), static keys or Roles Anywhere from a Secret, or run it on the host network of a node "
    "whose role it may use"
)


def make_session() -> Session:
    """Return a botocore session whose own requests do not hang for minutes."""
    session = Session()
    # botocore waits a minute each for connection and answer, five times over, if it is let.
    config = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})
    session.set_default_client_config(config)
    return session


class AwsChain:
    """Goes through botocore's credential chain, in a thread, for it blocks, and may hang."""

    def __init__(self, clock: Clock, make_session: Callable[[], Session] = make_session) -> None:
        self._clock = clock
        self._make_session = make_session
        self._credentials: Credentials | None = None
        self._reading: ChainReading | None = None

    @property
    def method(self) -> str | None:
        """Which provider of the chain it was (`env`, `iam-role`, …); None before a fetch."""
        return None if self._credentials is None else self._credentials.method

    async def fetch(self, refused: OwnCredentials | None = None) -> Fetched:
        """Return the newest credentials, and what has been *refused* only where there is no other.

        Raises UnavailableError, also where they have not come in time. What hangs is not begun a
        second time: the next fetch waits for it.
        """
        if self._reading is None:
            self._reading = ChainReading(partial(self._read, refused))
        reading = self._reading
        if not await self._clock.wait_until(reading.done, self._clock.now() + LONGEST):
            seconds = LONGEST.total_seconds()
            raise UnavailableError(f"own AWS credentials: none have come within {seconds:g} s")
        self._reading = None
        return Fetched(reading.result(), self._clock.now() + FETCH_EVERY)

    def _read(self, refused: OwnCredentials | None) -> OwnCredentials | IssueError:
        try:
            keys = self._newest()
            if keys == refused and isinstance(self._credentials, RefreshableCredentials):
                # botocore would go on with them until shortly before their end.
                self._credentials = None
                keys = self._newest()
        except UnavailableError as error:
            return error
        except _FAILURES as error:
            return UnavailableError(f"own AWS credentials: {_one_line(error)}")
        return keys

    def _newest(self) -> OwnCredentials:
        if not isinstance(self._credentials, RefreshableCredentials):
            # A session remembers the files it has read, so static keys take a new one.
            self._credentials = self._make_session().get_credentials()
        if self._credentials is None:
            raise UnavailableError(_NONE_FOUND)
        frozen = self._credentials.get_frozen_credentials()
        if not frozen.access_key or not frozen.secret_key:
            raise UnavailableError("own AWS credentials: the provider gave empty ones")
        token = Secret(frozen.token) if frozen.token else None
        return OwnCredentials(frozen.access_key, Secret(frozen.secret_key), token)


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
