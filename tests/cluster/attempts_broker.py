"""Attempts at a server, with an agent's token or without, and with any bytes."""

from cluster.attacker import Field, bearer
from cluster.attempts import Act, Attempt, Control
from cluster.broker_moves import (
    AGENT,
    RESOLVE,
    SERVER,
    WATCH,
    Token,
    for_the_api,
    forged,
    of_a_namesake,
    of_another_pod,
    opened,
    presented,
    said,
    signed_with_the_public_key,
    that_has_expired,
    unbound,
    with_another_payload,
    with_its_own_key_in_it,
    without_a_signature,
)
from rolecall_proto.v1 import broker_pb2 as pb

_NO_TOKEN = "UNAUTHENTICATED: one bearer token is needed"  # noqa: S105 - what a refusal says
_BAD_TOKEN = "UNAUTHENTICATED: the token was not accepted"  # noqa: S105 - likewise
_NO_AGENT = "PERMISSION_DENIED: the token is not an agent's"
_UNSIGNED = "its signature is not the cluster's|the API server does not accept it"


def _tokenless(what: str, do: Act) -> Attempt:
    return Attempt(what, Control.BEARER, do, _NO_TOKEN)


def _read(what: str, token: Token, why: str, said: str = _BAD_TOKEN) -> Attempt:
    return Attempt(what, Control.CLAIMS, presented(token), said, why)


def _unsigned(what: str, token: Token) -> Attempt:
    return Attempt(what, Control.SIGNATURE, presented(token), _BAD_TOKEN, _UNSIGNED)


def _limited(what: str, do: Act, said: str) -> Attempt:
    return Attempt(what, Control.LIMITS, do, said)


async def _named_in_metadata(field: Field) -> None:
    names = ("node", "x-node-name", "x-forwarded-for", "nodename")
    metadata = tuple((name, field.other) for name in names)
    async with field.hearing(metadata=metadata) as heard:
        await field.nothing_of_others(heard)


async def _named_in_the_hello(field: Field) -> None:
    hello = pb.WatchNodeRequest(version=field.other, capabilities=[field.other])
    name = field.other.encode()
    # Each unknown field from 4 to 15, as text.
    more = b"".join(bytes([number << 3 | 2, len(name)]) + name for number in range(4, 16))
    hello.MergeFromString(more)
    async with field.hearing(hello=hello) as heard:
        await field.nothing_of_others(heard)


ATTEMPTS = (
    _tokenless("Open a stream without a token", opened(lambda _: ())),
    _tokenless("Open a stream with two tokens", opened(lambda field: bearer(field.token) * 2)),
    _tokenless("Open a stream with a token of 9 KB", opened(lambda _: bearer("x" * 9000))),
    _tokenless(
        "Name its node in place of a token",
        opened(lambda field: (("x-node-name", field.other), ("node", field.other))),
    ),
    _read(
        "Show a token of the agent's that is for the API server",
        for_the_api,
        "it is made for another audience",
    ),
    _read(
        "Show an agent's token that is bound to no pod",
        unbound(AGENT),
        "it is bound to no pod",
        _NO_AGENT,
    ),
    _read(
        "Show a token of the server's account",
        unbound(SERVER),
        "it is another service account's",
        _NO_AGENT,
    ),
    _read(
        "Show a token of another pod of the same node",
        of_another_pod,
        "it is another service account's",
        _NO_AGENT,
    ),
    _read(
        "Show a token of a pod of the agent's name, with an account of the agents' name, "
        "of another namespace",
        of_a_namesake,
        "it is another service account's",
        _NO_AGENT,
    ),
    _read("Show a token that has expired", that_has_expired, "it has expired"),
    _read(
        "Show a token of the victim's agent with the algorithm `none`",
        without_a_signature,
        "it is no JWT|in a way that no API server uses",
    ),
    _read(
        "Show a token of the victim's agent, signed by HMAC with the cluster's public key",
        signed_with_the_public_key,
        "in a way that no API server uses",
    ),
    _unsigned(
        "Show a token of the victim's agent, signed with a key of its own by the name of the "
        "cluster's",
        forged(),
    ),
    _unsigned(
        "Show a token of the victim's agent, signed with a key that nobody knows",
        forged(kid="mine"),
    ),
    _unsigned(
        "Show a token of the victim's agent with the key of its own in the header",
        with_its_own_key_in_it,
    ),
    _unsigned(
        "Show its own token with the victim's claims in it",
        with_another_payload,
    ),
    _limited(
        "Send a message of 10 MB",
        said(RESOLVE, b"\x0a" + b"\x80\x80\x80\x05" + bytes(10 * 1024 * 1024)),
        "RESOURCE_EXHAUSTED",
    ),
    _limited("Send bytes that are no message", said(RESOLVE, b"\xff" * 64), "INTERNAL|UNKNOWN"),
    _limited(
        "Claim more sessions than a node can hold",
        said(WATCH, b"\x1a\x03\x0a\x01x" * 20_000),
        "INVALID_ARGUMENT",
    ),
    _limited(
        "Call a method that there is not",
        said("/rolecall.v1.Broker/ListSessions", b""),
        "UNIMPLEMENTED",
    ),
    _limited(
        "Ask the server which services it has",
        said("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", b""),
        "UNIMPLEMENTED",
    ),
    _limited(
        "Ask for the health of something else",
        said("/grpc.health.v1.Health/Check", b"\x0a\x08sessions"),
        "NOT_FOUND",
    ),
    _limited(
        "Put a question without a stream",
        said(RESOLVE, pb.ResolvePodsRequest(addresses=["127.0.0.9"]).SerializeToString()),
        "FAILED_PRECONDITION",
    ),
    Attempt(
        "Ask for the health of the server",
        Control.SUBSCRIPTION,
        said("/grpc.health.v1.Health/Check", b""),
    ),
    Attempt(
        "Name another node beside the right token",
        Control.SUBSCRIPTION,
        _named_in_metadata,
    ),
    Attempt(
        "Name another node in fields that the protocol does not have",
        Control.SUBSCRIPTION,
        _named_in_the_hello,
    ),
)
