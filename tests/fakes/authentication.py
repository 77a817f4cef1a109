"""An API server that signs and reviews tokens, in memory; and the authenticator that asks it."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from fakes.clock import FakeClock
from rolecall_common.secret import Secret
from rolecall_proto.values import NodeName, PodUid
from rolecall_server.kube.api import NO_QUERY, ApiError, Query
from rolecall_server.kube.auth.authenticator import TokenReviewAuthenticator
from rolecall_server.kube.auth.jwks import SigningKeys
from rolecall_server.kube.auth.token_claims import AgentRules
from rolecall_server.model.authenticator import AuthenticationError
from rolecall_server.model.pods import Pod
from rolecall_server.telemetry.metrics import Metrics

ISSUER = "https://kubernetes.default.svc.cluster.local"
RULES = AgentRules("rolecall", "rolecall-agent", "rolecall")
HOUR = timedelta(hours=1)


@cache
def signing_key(name: str) -> rsa.RSAPrivateKey:
    """Return the key of that name; making one takes long enough to make it once."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def claims(
    now: datetime, uid: str = "agent-1", node: str = "node-1", **other: object
) -> dict[str, Any]:
    """Return what the token of an agent's pod says; *other* replaces it, None leaves it out."""
    said = {
        "iss": ISSUER,
        "aud": [RULES.audience],
        "sub": RULES.username,
        "iat": int(now.timestamp()),
        "nbf": int(now.timestamp()),
        "exp": int((now + HOUR).timestamp()),
        "kubernetes.io": {
            "namespace": RULES.namespace,
            "serviceaccount": {"name": RULES.service_account, "uid": "sa-uid"},
            "pod": {"name": f"pod-{uid}", "uid": uid},
            "node": {"name": node, "uid": "node-uid"},
        },
        **other,
    }
    return {key: value for key, value in said.items() if value is not None}


def signed(said: Mapping[str, Any], key: str = "key-1", kid: str | None = None) -> Secret:
    headers = {"kid": kid or key}
    return Secret(jwt.encode(dict(said), signing_key(key), algorithm="RS256", headers=headers))


def agent_pod(uid: str = "agent-1", node: str | None = "node-1") -> Pod:
    return Pod(
        PodUid(uid),
        RULES.namespace,
        f"pod-{uid}",
        RULES.service_account,
        None if node is None else NodeName(node),
        host_network=True,
    )


class TokenReviewApi:
    """Reviews tokens as an API server does, and shows its keys. A test may hold it or break it."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.keys = ["key-1"]
        self.pods: set[str] = set()  # Whose tokens it accepts, by uid.
        self.trouble: ApiError | None = None
        self.odd_answer: bytes | None = None
        self.extras: dict[str, list[str]] = {}  # In place of what the token says.
        self.reviews: list[str] = []
        self.gets: list[str] = []
        self.most_at_once = 0
        self.open = asyncio.Event()
        self.open.set()
        self._at_once = 0

    async def get(self, path: str, query: Query = NO_QUERY) -> bytes:
        del query
        self.gets.append(path)
        await asyncio.sleep(0)
        if self.trouble is not None:
            raise self.trouble
        if path == "/.well-known/openid-configuration":
            return json.dumps({"issuer": ISSUER, "jwks_uri": "https://x/openid/v1/jwks"}).encode()
        assert path == "/openid/v1/jwks"
        return json.dumps({"keys": [public(name) for name in self.keys]}).encode()

    async def send(self, method: Literal["POST", "PATCH"], path: str, body: object) -> bytes:
        assert (method, path) == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews")
        assert isinstance(body, dict)
        token = body["spec"]["token"]
        self.reviews.append(token)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(0)
            await self.open.wait()
        finally:
            self._at_once -= 1
        if self.trouble is not None:
            raise self.trouble
        if self.odd_answer is not None:
            return self.odd_answer
        status = self._status(token, body["spec"]["audiences"])
        return json.dumps({"kind": "TokenReview", "status": status}).encode()

    def watch(
        self, path: str, query: Query = NO_QUERY
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        raise AssertionError((path, query))

    def _status(self, token: str, audiences: list[str]) -> dict[str, Any]:
        refused = {"user": {}, "error": "[invalid bearer token]"}
        try:
            name = jwt.get_unverified_header(token).get("kid", "")
            said = jwt.decode(
                token,
                signing_key(name).public_key(),
                algorithms=["RS256"],
                audience=audiences,
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.PyJWTError:
            return refused
        bound = said["kubernetes.io"]
        pod, node = bound.get("pod", {}), bound.get("node", {})
        if name not in self.keys or pod.get("uid") not in {*self.pods, None}:
            return {**refused, "error": "service account token has been invalidated"}
        extra = {
            "authentication.kubernetes.io/pod-name": [pod.get("name")],
            "authentication.kubernetes.io/pod-uid": [pod.get("uid")],
            "authentication.kubernetes.io/node-name": [node.get("name")],
            **self.extras,
        }
        return {
            "authenticated": True,
            "user": {
                "username": said["sub"],
                "extra": {key: some for key, some in extra.items() if some and some != [None]},
            },
            "audiences": [each for each in said["aud"] if each in audiences],
        }


def public(name: str) -> dict[str, Any]:
    """Return the public half as the API server lists it."""
    listed = jwt.algorithms.RSAAlgorithm.to_jwk(signing_key(name).public_key(), as_dict=True)
    return {
        "use": "sig",
        "alg": "RS256",
        "kid": name,
        "kty": "RSA",
        "n": listed["n"],
        "e": listed["e"],
    }


class AuthenticatorRig:
    """An authenticator beside such an API server, and the pods that its watch shows."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.api = TokenReviewApi(self.clock)
        self.metrics = Metrics()
        self.watched: dict[PodUid, Pod] = {}
        self.find_pod: Callable[[PodUid], Pod | None] = self.watched.get
        dice = random.Random(1)  # noqa: S311 - jitter
        keys = SigningKeys(self.api, RULES.audience, self.clock, self.metrics, dice)
        self.authenticator = TokenReviewAuthenticator(
            self.api,
            self.clock,
            RULES,
            lambda uid: self.find_pod(uid),  # noqa: PLW0108 - it may be set later
            self.metrics,
            keys=keys,
            dice=dice,
        )

    def run_pod(self, pod: Pod) -> None:
        self.api.pods.add(pod.uid)
        self.watched[pod.uid] = pod

    def token(self, uid: str = "agent-1", node: str = "node-1", **other: object) -> Secret:
        return signed(claims(self.clock.now(), uid, node, **other))

    async def keys_known(self) -> None:
        """Return once the keys were read; nobody else sleeps on the clock then."""
        await self.clock.asleep()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator["AuthenticatorRig"]:
        task = asyncio.create_task(self.authenticator.run(), name="authenticator")
        try:
            await self.keys_known()
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def error_of(auth: AuthenticatorRig, token: Secret) -> type[AuthenticationError]:
    """Return how the owner of *token* is refused, without a word of the token itself."""
    with pytest.raises(AuthenticationError) as caught:
        await auth.authenticator.authenticate(token)
    assert token.reveal() not in str(caught.value)
    return type(caught.value)
