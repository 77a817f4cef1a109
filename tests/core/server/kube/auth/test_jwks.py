"""Which of an issuer's keys can be used."""

import json

import pytest

from fakes.authentication import ISSUER, public
from rolecall_server.kube.auth.jwks import KeysUnusableError, read_keys


def documents(*keys: dict[str, object]) -> tuple[bytes, bytes]:
    return json.dumps({"issuer": ISSUER}).encode(), json.dumps({"keys": keys}).encode()


def test_keys_that_cannot_be_used_are_left_out() -> None:
    """The others stay; of two keys with one id neither, for a token does not say which it means."""
    good = public("key-1")
    twice = [{**public("key-2"), "kid": "twice"}] * 2
    odd = [
        {**good, "kid": "hmac", "kty": "oct", "k": "c2VjcmV0"},
        {**good, "kid": "encrypts", "use": "enc"},
        {**good, "kid": "algorithm", "alg": "HS256"},
        {**good, "kid": "broken", "n": "!"},
        {"kid": "point", "kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"},
        {**good, "kid": ""},
    ]
    found = read_keys(*documents(good, *twice, *odd))

    assert (found.issuer, list(found.keys)) == (ISSUER, ["key-1"])
    assert [json.loads(text) for text in found.texts] == [good]


def test_the_same_keys_in_another_order_are_the_same() -> None:
    """Nobody is told of a change that is none."""
    one, two = public("key-1"), public("key-2")

    assert read_keys(*documents(one, two)) == read_keys(*documents(two, one))
    assert read_keys(*documents(one, two)) != read_keys(*documents(one))


@pytest.mark.parametrize(
    ("discovery", "keys"),
    [
        (b"", b""),
        (b"{}", b"{}"),
        (b'{"issuer":""}', b'{"keys":[]}'),
        (b'{"issuer":"x"}', b'{"keys":[]}'),
        (b'{"issuer":"x"}', b'{"keys":{}}'),
        (b'{"issuer":"x"}', b"[" * 100_000),
        (b"\xff", b"\xff"),
    ],
)
def test_documents_without_keys_are_unusable(discovery: bytes, keys: bytes) -> None:
    """Whatever they hold instead."""
    with pytest.raises(KeysUnusableError):
        read_keys(discovery, keys)
