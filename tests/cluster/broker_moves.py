"""What can be said to a server by whoever may choose every byte: the moves of attempts."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from cluster.attacker import Field, bearer
from cluster.attempts import Act
from cluster.serving import AUDIENCE, RELEASE, SPACE
from testcluster.client import Manifest
from testcluster.commands import ISSUER

Token = Callable[[Field], Awaitable[str]]
AGENT, SERVER = f"{RELEASE}-agent", f"{RELEASE}-server"
WATCH, RESOLVE = "/rolecall.v1.Broker/WatchNode", "/rolecall.v1.Broker/ResolvePods"
_OWN_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def opened(metadata: Callable[[Field], tuple[tuple[str, str], ...]]) -> Act:
    """Open a stream with *metadata*."""
    return lambda field: _open(field, metadata(field))


def presented(token: Token) -> Act:
    """Open a stream with a *token*."""

    async def do(field: Field) -> None:
        await _open(field, bearer(await token(field)))

    return do


async def _open(field: Field, metadata: tuple[tuple[str, str], ...]) -> None:
    async with field.channel() as channel:
        watch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(WATCH)
        await watch(b"", metadata=metadata).read()


def said(method: str, body: bytes) -> Act:
    """Call any *method* with any bytes, and with the right token."""
    return lambda field: answer(field, method, body)


async def answer(field: Field, method: str, body: bytes) -> bytes:
    """Return the bytes that a *method* answers with."""
    async with field.channel() as channel:
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        return await ask(body, metadata=bearer(field.token))


def unbound(account: str, space: str = SPACE) -> Token:
    """Have a token that is bound to no pod; no kubelet gets one, so the administrator gives it."""
    return lambda field: field.admin.token(account, space, AUDIENCE)


async def for_the_api(field: Field) -> str:
    """Have the agent's token for the API server; again no kubelet gets one."""
    return await field.admin.token(AGENT, SPACE, ISSUER, pod=await field.at.agent_pod(field.node))


async def of_another_pod(field: Field) -> str:
    """Have a token of another pod of the node, made for the server."""
    return await field.admin.token("default", field.own, AUDIENCE, pod=await field.pod())


async def of_a_namesake(field: Field) -> str:
    """Have a token of a pod by the name of the agent's, of an account by the name of theirs."""
    agent = (await field.at.agent_pod(field.node))["metadata"]
    account = {"name": AGENT, "namespace": field.own}
    await field.admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    containers = [{"name": "main", "image": "main"}]
    made: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": agent["name"],
            "namespace": field.own,
            "labels": agent["labels"],
        },
        "spec": {
            "nodeName": field.node,
            "serviceAccountName": AGENT,
            "containers": containers,
        },
    }
    pod = await field.admin.create(made)
    return await field.admin.token(AGENT, field.own, AUDIENCE, pod=pod)


def forged(**header: Any) -> Token:  # noqa: ANN401 - whatever stands in a JWT's header
    """Make the token of the victim's agent, signed with a key of one's own."""
    return lambda field: _forged(field, header)


async def _forged(field: Field, header: dict[str, Any], **claims: object) -> str:
    said = await _victims_claims(field) | claims
    return jwt.encode(said, _OWN_KEY, algorithm="RS256", headers=_header(field) | header)


async def with_its_own_key_in_it(field: Field) -> str:
    """Make that token with the key of one's own in its header, for whoever would take it there."""
    key = jwt.algorithms.RSAAlgorithm.to_jwk(_OWN_KEY.public_key(), as_dict=True)
    return await _forged(field, {"jwk": key, "jku": "https://example.com/keys"})


async def that_has_expired(field: Field) -> str:
    """Make that token so that it ended a second ago."""
    return await _forged(field, {}, exp=int(time.time()) - 1)


async def without_a_signature(field: Field) -> str:
    """Make that token with the algorithm `none`."""
    header = {"alg": "none", "kid": _header(field)["kid"]}
    return f"{_part(header)}.{_part(await _victims_claims(field))}."


async def signed_with_the_public_key(field: Field) -> str:
    """Make that token with HMAC, whose key is the cluster's public key."""
    header = {"alg": "HS256", "kid": _header(field)["kid"]}
    body = f"{_part(header)}.{_part(await _victims_claims(field))}"
    key = field.at.cluster.control_plane.token_key.read_bytes()
    return f"{body}.{_text(hmac.digest(key, body.encode(), hashlib.sha256))}"


async def with_another_payload(field: Field) -> str:
    """Put the victim's claims into the attacker's own token, and keep its signature."""
    header, _, signature = field.token.split(".")
    return f"{header}.{_part(await _victims_claims(field))}.{signature}"


async def _victims_claims(field: Field) -> dict[str, Any]:
    """Return what the token of the victim's agent would say."""
    claims: dict[str, Any] = jwt.decode(field.token, options={"verify_signature": False})
    pod = (await field.at.agent_pod(field.other))["metadata"]
    node = (await field.admin.get("Node", field.other))["metadata"]
    for kind, it in (("pod", pod), ("node", node)):
        claims["kubernetes.io"][kind] = {"name": it["name"], "uid": it["uid"]}
    return claims


def _header(field: Field) -> dict[str, Any]:
    header: dict[str, Any] = jwt.get_unverified_header(field.token)
    return {"kid": header["kid"]}


def _part(value: object) -> str:
    return _text(json.dumps(value).encode())


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
