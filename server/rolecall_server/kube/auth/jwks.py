"""The cluster's public keys: what a token's signature is worth while nobody can review it.

They also keep forged tokens from costing a review. They never say more than that the API server has
signed a token: whether its pod is still there, a review or our own watch has to say.
"""

import asyncio
import enum
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NoReturn

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm

from rolecall_common.account_tokens import ALGORITHMS, OPTIONS, SKEW
from rolecall_common.backoff import Backoff
from rolecall_common.clock import Clock
from rolecall_common.secret import Secret
from rolecall_server.kube.api import Api, RejectedError, UnavailableError
from rolecall_server.kube.auth.token_claims import Claims
from rolecall_server.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

_DISCOVERY, _KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"

# A pod's token with a new key waits at its endpoint for that long, where no agent has shown one
# before.
REFRESH = Backoff(timedelta(minutes=5), timedelta(minutes=5), jitter=0.1)
RETRY = Backoff(timedelta(seconds=5), timedelta(minutes=5))
# A token with an unknown key may be anybody's: however many there are, so often and no oftener.
AT_MOST_EVERY = timedelta(minutes=1)
# What is looked at after the signature was found to be right. The cluster may have several issuers,
# of which we know one.
_CLAIM_ERRORS = (jwt.InvalidIssuerError, jwt.InvalidAudienceError, jwt.MissingRequiredClaimError)


class Proof(enum.Enum):
    """What a token's signature says."""

    GOOD = "the cluster has signed it, for us, and it is in force"
    SIGNED = "the cluster has signed it; whether for us, and whether it is in force, a review says"
    FORGED = "it names a key of the cluster, which has not signed it"
    NONE = "nobody can tell"


class _Key(msgspec.Struct, frozen=True, omit_defaults=True):
    kid: str = ""
    kty: str = ""
    use: str = ""
    alg: str = ""
    n: str = ""
    e: str = ""
    crv: str = ""
    x: str = ""
    y: str = ""


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[_Key]


class _Discovery(msgspec.Struct, frozen=True):
    issuer: str


@dataclass(frozen=True, slots=True)
class KeySet:
    """Who signs, and the keys by their ids."""

    issuer: str
    keys: Mapping[str, jwt.PyJWK] = field(compare=False)
    texts: tuple[str, ...]  # The same keys as JSON, for others.


class KeysUnusableError(Exception):
    """What came back holds no keys that could be used."""


def read_keys(discovery: bytes, keys: bytes) -> KeySet:
    """Read both documents. Raises KeysUnusableError, whatever they are."""
    try:
        issuer = msgspec.json.decode(discovery, type=_Discovery).issuer
        listed = msgspec.json.decode(keys, type=_KeySet).keys
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise KeysUnusableError(f"not the documents of an issuer: {error}") from error
    ids = [each.kid for each in listed]
    # Which of two a token means cannot be told, so a wrong signature would prove nothing.
    found = {each.kid: key for each in listed if ids.count(each.kid) == 1 and (key := _key(each))}
    if not issuer or not found:
        raise KeysUnusableError("no issuer, or no key that could be used")
    texts = (msgspec.json.encode(each).decode() for each in listed if each.kid in found)
    return KeySet(issuer, found, tuple(sorted(texts)))


def _key(listed: _Key) -> jwt.PyJWK | None:
    if not listed.kid or listed.use not in ("", "sig") or listed.kty not in ("RSA", "EC"):
        return None
    # What the library makes of the algorithm "none" is no error that it has declared.
    if listed.alg and listed.alg not in ALGORITHMS:
        return None
    try:
        key = jwt.PyJWK(msgspec.to_builtins(listed))
    except (jwt.PyJWTError, ValueError, UnsupportedAlgorithm):
        return None
    return key if key.algorithm_name in ALGORITHMS else None


def _ignore(keys: KeySet) -> None: ...


class SigningKeys:
    """The keys as they were when the API server last told them; kept however long it is away."""

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        api: Api,
        audience: str,
        clock: Clock,
        metrics: Metrics,
        dice: random.Random,
        *,
        changed: Callable[[KeySet], None] = _ignore,
    ) -> None:
        """*audience* is that of the tokens to prove. *changed* hears of each new set of keys."""
        self._changed = changed
        self._api = api
        self._audience = audience
        self._clock = clock
        self._metrics = metrics
        self._dice = dice
        self._known: KeySet | None = None
        self._problem: str | None = None
        self._wanted = asyncio.Event()

    @property
    def known(self) -> bool:
        """Whether there are any keys."""
        return self._known is not None

    def prove(self, token: Secret, claims: Claims, now: datetime) -> Proof:
        """Tell what the signature of *token*, whose *claims* were read, is worth. Never raises."""
        key = self._known.keys.get(claims.key_id) if self._known else None
        if self._known is None or key is None:
            self._wanted.set()
            return Proof.NONE
        try:
            jwt.decode(
                token.reveal(),
                key,
                algorithms=list(ALGORITHMS),
                audience=self._audience,
                issuer=self._known.issuer,
                options=OPTIONS,
            )
        except jwt.InvalidSignatureError:
            return Proof.FORGED
        except _CLAIM_ERRORS:
            return Proof.SIGNED
        except (jwt.PyJWTError, RecursionError):
            return Proof.NONE
        return Proof.GOOD if _in_force(claims, now) else Proof.SIGNED

    async def run(self) -> NoReturn:
        """Keep the keys up to date until cancelled."""
        failures = 0
        while True:
            self._wanted.clear()
            failures = 0 if await self._refresh() else failures + 1
            pause = (RETRY if failures else REFRESH).delay(max(failures, 1), self._dice)
            again_at = self._clock.now() + pause
            await self._clock.sleep(min(pause, AT_MOST_EVERY))
            await self._clock.wait_until(self._wanted, again_at)

    async def _refresh(self) -> bool:
        try:
            fetched = await self._api.get(_DISCOVERY), await self._api.get(_KEYS)
            self._take_in(read_keys(*fetched))
        except UnavailableError as error:
            return self._keep_known("unavailable", str(error))
        except RejectedError as error:
            return self._keep_known("refused", str(error))
        except KeysUnusableError as error:
            return self._keep_known("unusable", str(error))
        self._metrics.key_fetches.add("ok")
        if self._problem is not None:
            log.info("the cluster's public keys are known again")
        self._problem = None
        return True

    def _take_in(self, keys: KeySet) -> None:
        if keys != self._known:
            self._known = keys
            self._changed(keys)

    def _keep_known(self, result: str, reason: str) -> bool:
        self._metrics.key_fetches.add(result)
        if result != self._problem:  # Said once, and again where the kind of problem changes.
            fields = {"reason": reason, "keys_known": self.known}
            log.warning("the cluster's public keys cannot be read", extra=fields)
        self._problem = result
        return False


def _in_force(claims: Claims, now: datetime) -> bool:
    moments = (claims.not_before, claims.issued_at)
    return all(moment is not None and moment <= now + SKEW for moment in moments)
