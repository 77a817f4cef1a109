"""Own credentials of a role that the server assumes first (`assumeRoleArn`)."""

from datetime import timedelta

from rolecall_common.clock import Clock
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import Issuer, RefusedError, ThrottledError, UnavailableError
from rolecall_server.sts.own_credentials import Fetched, OwnCredentials

# Every role allows one hour, whoever calls; what it issues is chained, so no longer either.
_DURATION = timedelta(hours=1)


class AssumeFirst:
    """Fetches own credentials by assuming *role_arn* through *issuer*."""

    def __init__(self, issuer: Issuer, role_arn: str, clock: Clock) -> None:
        self._issuer = issuer
        self._identity = Identity(role_arn, "rolecall-server", _DURATION)
        self._clock = clock

    async def fetch(self, _: OwnCredentials | None = None) -> Fetched:
        """Assume the role anew, whatever was refused. Raises UnavailableError."""
        now = self._clock.now()
        try:
            issued = await self._issuer.issue(self._identity)
        except (RefusedError, ThrottledError) as error:
            # It says nothing about the identity that somebody is waiting for, nor its account.
            raise UnavailableError(f"assumeRoleArn {self._identity.role_arn}: {error}") from error
        got = issued.credentials
        keys = OwnCredentials(got.access_key_id, got.secret_access_key, got.session_token)
        return Fetched(keys, now + (got.expires_at - now) / 2)
