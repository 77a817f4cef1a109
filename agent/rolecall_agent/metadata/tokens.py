"""Metadata tokens: a proof that was given to one address until some moment, kept nowhere.

A token is base64url of 42 bytes: the moment of its end, a nonce, and a keyed BLAKE2b over the
address, that moment and the nonce. Its 56 characters are EC2's; beyond 64 the C runtime breaks. The
key comes from the server and is the same after a restart of the agent, and so the tokens stay good.
"""

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta

from rolecall_proto.values import Address

NONCE_SIZE = 12  # bytes; no two tokens of one address and millisecond are alike
LONGEST_LIFE = timedelta(seconds=21600)  # EC2's own limit: six hours

_END_SIZE = 6  # bytes: milliseconds since 1970 until the year 10889
_PROOF_SIZE = 24  # bytes: 192 bits, what is left of 42
_LONGEST_TTL = 10  # characters: every number in range, with zeros before it; more is not honest
_SPELLING = re.compile(rb"[A-Za-z0-9_-]{56}")
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def issue(key: bytes, address: Address, ttl: timedelta, now: datetime, nonce: bytes) -> bytes:
    """Return a token for *address*, good until *now* + *ttl*.

    *nonce* is NONCE_SIZE random bytes.
    """
    end = ((now + ttl - _ORIGIN) // _MILLISECOND).to_bytes(_END_SIZE, "big")
    return base64.urlsafe_b64encode(end + nonce + _proof(key, address, end + nonce))


def valid_until(key: bytes, address: Address, token: bytes, now: datetime) -> datetime | None:
    """Return the end of *token*, or None where it is none of *address*'s or has ended.

    A token has one spelling: 336 bits are 56 characters with no bit to spare.
    """
    if _SPELLING.fullmatch(token) is None:
        return None
    content = base64.urlsafe_b64decode(token)
    said, proof = content[:-_PROOF_SIZE], content[-_PROOF_SIZE:]
    if not hmac.compare_digest(proof, _proof(key, address, said)):
        return None
    end = _ORIGIN + int.from_bytes(said[:_END_SIZE], "big") * _MILLISECOND
    return end if now < end else None


def parse_ttl(text: bytes | None) -> timedelta | None:
    """Return the life that a PUT asks for; None unless it is plain digits from 1 to 21600."""
    if text is None or not text.isdigit() or len(text) > _LONGEST_TTL:
        return None
    ttl = timedelta(seconds=int(text))
    return ttl if timedelta(0) < ttl <= LONGEST_LIFE else None


def _proof(key: bytes, address: Address, said: bytes) -> bytes:
    # 4 or 16 bytes of address before 18 of the rest: no two pairs read the same.
    return hashlib.blake2b(
        address.packed + said, key=key, digest_size=_PROOF_SIZE, person=b"rolecall.token"
    ).digest()
