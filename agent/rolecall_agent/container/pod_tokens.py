"""ServiceAccount tokens: which pod one is for, decided offline by the rules of the snapshot.

What a token says is read first, so that garbage costs little; its signature is checked last, by a
library (`signatures.py`), and remembered. Where the token's pod is, is not for a token to say.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from rolecall_common.account_tokens import (
    ALGORITHMS,
    END_OF_TIME,
    SKEW,
    header_and_payload,
    moment,
)
from rolecall_proto.values import EndpointKeys, NodeName, PodTokenRules, PodUid

# Tokens that are remembered. A node has some hundred pods, and a kubelet renews theirs by the hour.
MOST_GOOD = 1024
MOST_BAD = 1024  # Apart, so that a flood of bad tokens drives no good one out.

_SCHEME = "bearer "
_HEADER = b"uthorization: "  # As SDKs spell it, with a capital letter or without.
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says. Nobody has vouched for it yet."""

    key_id: str
    algorithm: str
    issuer: str
    audiences: frozenset[str]
    ends: datetime
    begins: datetime  # The later one of "not before" and "issued at".
    pod: PodUid
    pod_name: str
    namespace: str
    service_account: str
    node: NodeName | None  # API servers before 1.30 do not say.


class Verifier(Protocol):
    """The cluster's keys, for as long as they are the same."""

    @property
    def key_ids(self) -> Collection[str]: ...

    def has_signed(self, token: str, key_id: str) -> bool:
        """Tell whether that key's owner has signed *token*. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Undecided:
    """Nobody can tell yet: the keys are not here, or not the one that the token names."""


Verification = Claims | Undecided | None
UNDECIDED = Undecided()


class PodTokens:
    """Verifies tokens by the newest rules, and remembers which were signed by the cluster.

    Args:
        wanted: Called, again and again, where a token could be verified if there were a verifier.
    """

    def __init__(self, wanted: Callable[[], None]) -> None:
        self._wanted = wanted
        self._make_verifier: Callable[[PodTokenRules], Verifier] | None = None
        self._rules: PodTokenRules | None = None
        self._verifier: Verifier | None = None
        self._good: dict[bytes, Claims] = {}
        self._bad: dict[bytes, None] = {}

    def verify_with(self, make_verifier: Callable[[PodTokenRules], Verifier]) -> None:
        self._make_verifier = make_verifier

    def verify(self, token: str, keys: EndpointKeys, now: datetime) -> Verification:
        """Return what *token* says where it is good at *now*; None where it is not."""
        rules = keys.pod_tokens
        if rules is None:
            return UNDECIDED
        if rules != self._rules:
            self._begin_anew(rules)
        digest = _digest(token)
        if digest in self._bad:
            return None
        known = self._good.get(digest)
        claims = known or read(token)
        if claims is None or not _is_for_us(claims, rules, keys.node, now):
            return None
        return known or self._signed_by_cluster(token, digest, claims, rules)

    def verified(self, token: str) -> PodUid | None:
        """Return whose *token* is, if it was found good before, by the same rules."""
        known = self._good.get(_digest(token)) if token and self._good else None
        return None if known is None else known.pod

    def _signed_by_cluster(
        self, token: str, digest: bytes, claims: Claims, rules: PodTokenRules
    ) -> Verification:
        if self._verifier is None:
            if self._make_verifier is None:
                self._wanted()
                return UNDECIDED
            self._verifier = self._make_verifier(rules)
        if claims.key_id not in self._verifier.key_ids:
            return UNDECIDED  # The cluster may have a new key, which the server is about to tell.
        if self._verifier.has_signed(token, claims.key_id):
            _keep(self._good, digest, claims, MOST_GOOD)
            return claims
        _keep(self._bad, digest, None, MOST_BAD)
        return None

    def _begin_anew(self, rules: PodTokenRules) -> None:
        self._rules, self._verifier = rules, None
        self._good.clear()
        self._bad.clear()


def token_of(authorizations: tuple[bytes, ...]) -> str:
    """Return the token of a request; "" where it has none, or two.

    SDKs send what their file holds, without a scheme.
    """
    if len(authorizations) != 1:
        return ""
    text = authorizations[0].decode("latin-1")
    if text[: len(_SCHEME)].lower() == _SCHEME:
        text = text[len(_SCHEME) :].strip()
    return text


def shown_in(head: bytes) -> str:
    """Return the token in *head*, not parsed yet, if it is spelt as SDKs do; else ""."""
    at = head.find(_HEADER)
    if at < 0:
        return ""
    start = at + len(_HEADER)
    return token_of((head[start : head.find(b"\r\n", start)].strip(b" \t"),))


def read(token: str) -> Claims | None:
    """Return what *token* says; None where it is no token of a pod. Never raises."""
    parts = header_and_payload(token)
    if parts is None:
        return None
    header, payload = map(_object, parts)
    bound = _under(payload, "kubernetes.io")
    account, pod, node = (_under(bound, name) for name in ("serviceaccount", "pod", "node"))
    ends, issued = _moment(payload.get("exp")), _moment(payload.get("iat"))
    not_before, uid = _moment(payload.get("nbf")), _text(pod, "uid")
    if ends is None or issued is None or not_before is None or not uid:
        return None
    return Claims(
        key_id=_text(header, "kid"),
        algorithm=_text(header, "alg"),
        issuer=_text(payload, "iss"),
        audiences=_audiences(payload.get("aud")),
        ends=ends,
        begins=max(issued, not_before),
        pod=PodUid(uid),
        pod_name=_text(pod, "name"),
        namespace=_text(bound, "namespace"),
        service_account=_text(account, "name"),
        node=NodeName(_text(node, "name")) if node else None,
    )


def _is_for_us(claims: Claims, rules: PodTokenRules, node: NodeName, now: datetime) -> bool:
    return (
        claims.algorithm in ALGORITHMS
        and claims.issuer == rules.issuer
        and not claims.audiences.isdisjoint(rules.audiences)
        and claims.begins <= now + SKEW
        and now < claims.ends
        and claims.node in (None, node)
    )


def _object(part: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(part)
    # json's own error and UnicodeDecodeError are ValueErrors, and so is what a too long number is.
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _under(holder: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = holder.get(name)
    return found if isinstance(found, dict) else {}


def _text(holder: Mapping[str, object], name: str) -> str:
    found = holder.get(name)
    return found if isinstance(found, str) else ""


def _audiences(found: object) -> frozenset[str]:
    some = found if isinstance(found, list) else [found]
    return frozenset(each for each in some if isinstance(each, str))


def _moment(found: object) -> datetime | None:
    # True is a number to Python, and NaN is one to JSON.
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return moment(found) if 0 <= found <= END_OF_TIME else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _keep(kept: dict[bytes, Value], key: bytes, value: Value, most: int) -> None:
    if len(kept) >= most:
        del kept[next(iter(kept))]  # The oldest one.
    kept[key] = value
