"""Signatures of ServiceAccount tokens, by PyJWT.

Nobody imports this module before the first token of a pod has come: it costs 10 MB, and most nodes
may never see one.
"""

from collections.abc import Collection

import jwt

from rolecall_common.account_tokens import ALGORITHMS, OPTIONS
from rolecall_proto.values import PodTokenRules

# What the library raises for some text that is no key. Of these it has declared the first alone.
_UNDECLARED = (
    *(jwt.PyJWTError, ValueError, TypeError, AttributeError, LookupError),
    *(NotImplementedError, RecursionError),
)


class Signatures:
    """The cluster's public keys. Each verifies by its own algorithm, whatever a token says."""

    def __init__(self, rules: PodTokenRules) -> None:
        self._rules = rules
        read = (_key(text) for text in rules.keys)
        self._keys = {key.key_id: key for key in read if key is not None and key.key_id}

    @property
    def key_ids(self) -> Collection[str]:
        return self._keys.keys()

    def has_signed(self, token: str, key_id: str) -> bool:
        key = self._keys.get(key_id)
        if key is None:
            return False
        try:
            jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._rules.audiences,
                issuer=self._rules.issuer,
                options=OPTIONS,
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            return False
        return True


def _key(text: str) -> jwt.PyJWK | None:
    try:
        key = jwt.PyJWK.from_json(text)
    except _UNDECLARED:
        return None
    return key if key.algorithm_name in ALGORITHMS else None
