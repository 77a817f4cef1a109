"""ServiceAccount tokens, as far as both sides agree on them: how they are read and verified."""

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jwt.types import Options

# What API servers sign with (RSA and ECDSA), and PSS for those whose keys are in a vault. Pinned
# here: a token never chooses how it is verified.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512")
# Between the API server's clock and ours. A token's end is not stretched by it.
SKEW: Final = timedelta(seconds=30)
# The last second that a datetime can hold.
END_OF_TIME: Final = 253_402_300_799
# For PyJWT. Times are held against the clock that we are given, not against the library's.
OPTIONS: Final["Options"] = {
    "require": ["exp", "iat", "nbf", "iss", "aud", "sub"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}

_PART = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def header_and_payload(token: str) -> tuple[bytes, bytes] | None:
    """Return both, decoded; None where *token* is no JWT. Of the signature nothing is looked at."""
    parts = token.split(".", 3)
    if len(parts) != 3 or not all(map(_PART.fullmatch, parts)):  # noqa: PLR2004 - of a JWT
        return None
    try:
        return _bytes(parts[0]), _bytes(parts[1])
    except binascii.Error:
        return None


def moment(seconds: float) -> datetime:
    """Return the time of a claim, which must be from 0 to END_OF_TIME."""
    return datetime.fromtimestamp(seconds, UTC)


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
