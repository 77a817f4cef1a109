"""Tokens that the container endpoint takes, and those that it does not."""

import base64
import hmac
import json
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta

import pytest

from fakes.authentication import signed
from fakes.container_rig import (
    ContainerRig,
    asking,
    container_rig,
    loaded,
    moment,
    rules,
    said,
    token,
)
from fakes.endpoint_rig import LONG

KUBERNETES = "kubernetes.io"


@pytest.fixture
async def rig() -> AsyncGenerator[ContainerRig]:
    async with container_rig(LONG) as rig:
        await loaded(rig)
        yield rig


def part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def unsigned() -> str:
    return f"{part({'alg': 'none', 'kid': 'key-1'})}.{part(said())}."


def by_hmac() -> str:
    """Return a token "signed" with the public key, as if it were a secret that both know."""
    shown = f"{part({'alg': 'HS256', 'kid': 'key-1'})}.{part(said())}"
    proof = hmac.digest(rules().keys[0].encode(), shown.encode(), "sha256")
    return f"{shown}.{base64.urlsafe_b64encode(proof).decode().rstrip('=')}"


def with_payload(**other: object) -> str:
    """Return a good token whose payload was changed after it was signed."""
    header, _, signature = token().split(".")
    return f"{header}.{part(said(**other))}.{signature}"


def bound(**other: object) -> dict[str, object]:
    return {**said()[KUBERNETES], **other}


BAD = {
    "none": lambda: None,
    "empty": lambda: "",
    "a scheme and nothing": lambda: "Bearer",
    "another scheme": lambda: f"Basic {token()}",
    "garbage": lambda: "garbage",
    "dots": lambda: "..",
    "garbage in three parts": lambda: "a.b.c",
    "too deep": lambda: f"{base64.urlsafe_b64encode(b'[' * 3000).decode()}.e30.AA",
    "not ASCII": lambda: "\xff\xfe.\xff.\xff",
    "no algorithm": unsigned,
    "no signature": lambda: token().rpartition(".")[0] + ".",
    "HMAC by the public key": by_hmac,
    "another pod's uid": lambda: with_payload(**{KUBERNETES: bound(pod={"uid": "uid-b"})}),
    "a cut signature": lambda: token()[:-8],
    "signed by a stranger": lambda: signed(said(), "key-2", kid="key-1").reveal(),
    "another issuer": lambda: token(iss="https://elsewhere"),
    "no issuer": lambda: token(iss=None),
    "another audience": lambda: token(aud=["https://kubernetes.default.svc"]),
    "no audience": lambda: token(aud=None),
    "the agents' audience": lambda: token(aud=["rolecall"]),
    "ended now": lambda: token(exp=moment(timedelta())),
    "ended long ago": lambda: token(exp=1),
    "without an end": lambda: token(exp=None),
    "without a beginning": lambda: token(nbf=None),
    "not issued": lambda: token(iat=None),
    "for tomorrow": lambda: token(nbf=moment(timedelta(hours=24))),
    "issued tomorrow": lambda: token(iat=moment(timedelta(hours=24))),
    "of no pod": lambda: token(**{KUBERNETES: bound(pod=None)}),
    "of an account of old": lambda: token(**{KUBERNETES: None}),
    "of a pod without a uid": lambda: token(**{KUBERNETES: bound(pod={"name": "pod"})}),
    "of another node": lambda: token(**{KUBERNETES: bound(node={"name": "node-2"})}),
    "of another name": lambda: token(name="another"),
    "of another namespace": lambda: token(**{KUBERNETES: bound(namespace="team")}),
    "of another account": lambda: token(**{KUBERNETES: bound(serviceaccount={"name": "x"})}),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
async def test_a_bad_token_is_refused_at_once(
    rig: ContainerRig, make: Callable[[], str | None]
) -> None:
    """By the same bytes, whatever is wrong with it."""
    answer = await rig.ask(make())

    assert answer.status == 401
    assert json.loads(answer.body) == {
        "code": "InvalidToken",
        "message": "the token is none of a pod of this node",
    }
    assert len(rig.served) == 1
    assert (await rig.ask(make())).status == 401


async def test_two_tokens_are_none(rig: ContainerRig) -> None:
    """Nobody could say which of them is meant, also where both are good."""
    async with rig.client() as client:
        good = asking(token(), host=f"127.0.0.1:{rig.port}")
        client.send(good.replace(b"\r\n\r\n", f"\r\nAuthorization: {token()}\r\n\r\n".encode()))
        [answer] = await client.rest()

    assert answer.status == 401


async def test_a_clock_that_is_a_little_behind_costs_nobody_a_token(rig: ContainerRig) -> None:
    """Its beginning is stretched by half a minute, its end is not."""
    late = timedelta(seconds=29)

    assert (await rig.ask(token(nbf=moment(late), iat=moment(late)))).status == 200
