"""The state behind the fake: who exists, which roles there are, what was issued."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape

from fakes.sts.limits import read_assume_role
from fakes.sts.mint import Mint
from fakes.sts.principals import Key, Principal, Role
from fakes.sts.refusal import RefusalError
from fakes.sts.signature import Claim
from fakes.sts.trust import assume

_XMLNS = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
_ANY = Role("", max_session=timedelta(hours=12))


class Account:
    """Keys and roles, and the two calls upon them."""

    def __init__(self, mint: Mint) -> None:
        self.keys: dict[str, Key] = {}
        self.roles: dict[str, Role] = {}
        # A role that was not declared exists all the same, and trusts everyone.
        self.any_role = False
        # How long sessions last at most, whatever was asked for: for tests that see one renewed.
        self.longest: timedelta | None = None
        self.mint = mint

    def key_of(self, claim: Claim, headers: Mapping[str, str], now: datetime) -> Key:
        """Return the caller's key; raise RefusalError where there is none, or it has ended."""
        key = self.keys.get(claim.access_key_id)
        if key is None or headers.get("x-amz-security-token") != key.token:
            raise RefusalError(
                403, "InvalidClientTokenId", "The security token included in the request is invalid"
            )
        if key.ends is not None and key.ends <= now:
            raise RefusalError(
                403, "ExpiredToken", "The security token included in the request is expired"
            )
        return key

    def assume_role(self, form: Mapping[str, str], caller: Principal, now: datetime) -> str:
        """Issue a session; return the result element."""
        asked = read_assume_role(form)
        role = self.roles.get(asked.role_arn)
        if role is None and self.any_role:
            role = replace(_ANY, arn=asked.role_arn)
        granted = assume(asked, role, caller)
        lasts = min(asked.duration, self.longest or asked.duration)
        ends = (now + lasts).replace(microsecond=0)
        key = self.mint.key(granted.principal, ends)
        self.keys[key.access_key_id] = key
        packed = (
            ""
            if granted.packed_percent is None
            else f"<PackedPolicySize>{granted.packed_percent}</PackedPolicySize>"
        )
        source = granted.principal.source_identity
        return (
            f"<AssumedRoleUser><AssumedRoleId>{granted.principal.user_id}</AssumedRoleId>"
            f"<Arn>{granted.principal.arn}</Arn></AssumedRoleUser>"
            f"<Credentials><AccessKeyId>{key.access_key_id}</AccessKeyId>"
            f"<SecretAccessKey>{key.secret}</SecretAccessKey>"
            f"<SessionToken>{key.token}</SessionToken>"
            f"<Expiration>{ends.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
            f"{packed}" + (f"<SourceIdentity>{source}</SourceIdentity>" if source else "")
        )


def caller_identity(caller: Principal) -> str:
    return (
        f"<Arn>{escape(caller.arn)}</Arn><UserId>{caller.user_id}</UserId>"
        f"<Account>{caller.account}</Account>"
    )


def answer(action: str, result: str, request_id: str) -> str:
    """Return the whole document of a successful call."""
    return (
        f"<{action}Response {_XMLNS}><{action}Result>{result}</{action}Result>"
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        f"</{action}Response>"
    )
