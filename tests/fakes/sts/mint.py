"""Issues credentials that look like AWS's and are the same in every run."""

import base64
import hashlib
import uuid
from datetime import datetime
from functools import lru_cache

from fakes.sts.principals import Key, Principal


class Mint:
    """Makes keys, tokens and request ids out of a seed and a counter.

    Every secret begins with *canary*, and a token repeats it, so that a search for it finds any.
    """

    def __init__(self, seed: int, token_length: int, canary: str = "") -> None:
        self._seed = f"{seed}.".encode()
        self._count = 0
        self._token_length = token_length
        self._canary = canary

    def request_id(self) -> str:
        return str(uuid.UUID(bytes=self._bytes(16)))

    def key(self, principal: Principal, ends: datetime) -> Key:
        name = self._bytes(8).hex().upper()
        secret = (self._canary + base64.b64encode(self._bytes(30)).decode())[:40]
        repeats = -(-self._token_length // 64)
        token = (self._canary + base64.b64encode(self._bytes(48)).decode())[:64] * repeats
        return Key(f"ASIA{name}", secret, principal, token[: self._token_length], ends)

    def _bytes(self, size: int) -> bytes:
        self._count += 1
        return hashlib.blake2b(self._seed + str(self._count).encode(), digest_size=size).digest()


@lru_cache(maxsize=4096)
def role_id(arn: str) -> str:
    """Return the unique id that IAM would have given to the role."""
    digest = hashlib.blake2b(arn.encode(), digest_size=10).digest()
    return "AROA" + base64.b32encode(digest).decode()
