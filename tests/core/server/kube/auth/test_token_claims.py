"""What may be an agent's token, and what a review of it comes to."""

import base64
import json
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.clock import START
from fakes.vouching import ISSUER, RULES, claims, public, signed
from rolecall_proto.values import NodeName, PodUid
from rolecall_server.kube.auth.circuit_breaker import LONGEST_PAUSE, PAUSE, Outage
from rolecall_server.kube.auth.jwks import KeysUnusableError, read_keys
from rolecall_server.kube.auth.token_claims import Claims, Holder, read_token
from rolecall_server.kube.auth.token_review import Refused, Status, Unanswered, judge
from rolecall_server.kube.auth.ttl_cache import Remembered
from rolecall_server.model.authenticator import (
    AuthenticationError,
    ForbiddenError,
    UnauthenticatedError,
)

SECOND = timedelta(seconds=1)
BOUND = claims(START)["kubernetes.io"]
AGENT = Holder(PodUid("agent-1"), "pod-agent-1", NodeName("node-1"))


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def token(payload: object, header: object = None) -> str:
    return ".".join((part(header or {"alg": "RS256", "kid": "key-1"}), part(payload), "c2ln"))


def test_a_token_says_whose_it_is() -> None:
    """The pod, and the node where the API server names one; nobody has vouched for it yet."""
    read = read_token(signed(claims(START)).reveal(), RULES, START)

    assert read.holder == AGENT
    assert (read.issuer, read.key_id) == (ISSUER, "key-1")
    assert read.expires_at == START + timedelta(hours=1)
    without = {key: value for key, value in BOUND.items() if key != "node"}
    old = token(claims(START, **{"kubernetes.io": without}))
    assert read_token(old, RULES, START).holder.node is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "node-1",
        "a.b",
        "a.b.c.d",
        "..",
        "a.b.c",
        "é.b.c",
        "e30.e30.e30\n",
        "e30.e30.e30",
        token([]),
        token("x"),
        token({**claims(START), "exp": "soon"}),
        token({**claims(START), "exp": 1e300}),
        token({**claims(START), "exp": -1}),
        token({**claims(START), "exp": True}),
        token({**claims(START), "aud": {"rolecall": True}}),
        token({**claims(START), "kubernetes.io": "x"}),
        token(b'{"exp":NaN}'),
        token(b"\xff\xfe"),
        token(b"[" * 5000),
        token(b'{"x":' + b"[" * 5000),
        token(claims(START), b'{"x":' + b"[" * 3000),
        token({**claims(START), "pad": "x" * 8192}),
        token(claims(START), {"alg": "none"}),
        token(claims(START), {"alg": "HS256", "kid": "key-1"}),
        token(claims(START), {"alg": ["RS256"]}),
        token(claims(START), {"kid": "key-1"}),
        token(claims(START, aud=None)),
        token(claims(START, aud=["https://kubernetes.default.svc"])),
        token(claims(START, aud="Rolecall")),
        token(claims(START, exp=None)),
        token(claims(START - timedelta(hours=1))),
    ],
)
def test_what_is_no_token_for_us_is_refused_unread(text: str) -> None:
    """Garbage, other algorithms, other audiences and what has ended cost no question."""
    with pytest.raises(UnauthenticatedError):
        read_token(text, RULES, START)


@pytest.mark.parametrize(
    "other",
    [
        {"sub": "system:serviceaccount:shop:rolecall-agent"},
        {"sub": "system:serviceaccount:rolecall:default"},
        {"sub": "system:node:node-1"},
        {"sub": None},
        {"kubernetes.io": None},
        {"kubernetes.io": {**BOUND, "namespace": "shop"}},
        {"kubernetes.io": {**BOUND, "serviceaccount": {"name": "default"}}},
        {"kubernetes.io": {**BOUND, "pod": None}},
        {"kubernetes.io": {**BOUND, "pod": {"name": "x", "uid": ""}}},
    ],
)
def test_a_token_of_anybody_else_is_forbidden(other: dict[str, object]) -> None:
    """Another service account's, or one that is bound to no pod, as old kinds of tokens are."""
    with pytest.raises(ForbiddenError):
        read_token(token(claims(START, **other)), RULES, START)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
KNOWN = st.fixed_dictionaries(
    {},
    optional={
        "exp": JSON | st.just(4e9),
        "aud": JSON | st.just("rolecall"),
        "sub": JSON | st.just(RULES.username),
        "nbf": JSON,
        "iat": JSON,
        "kubernetes.io": JSON
        | st.just(BOUND)
        | st.dictionaries(st.sampled_from(list(BOUND)), JSON),
    },
)


@given(st.text() | st.builds(token, KNOWN | JSON | st.binary(), JSON | st.binary() | st.none()))
def test_whatever_a_token_holds_it_is_read_or_refused(text: str) -> None:
    """Nothing else comes of it, whoever wrote it."""
    try:
        read = read_token(text, RULES, START)
    except AuthenticationError:
        return

    assert isinstance(read, Claims)
    assert read.holder.pod_uid


def status(**fields: object) -> Status:
    extra = {"pod-uid": ["agent-1"], "pod-name": ["pod-agent-1"], "node-name": ["node-1"]}
    said = {
        "authenticated": True,
        "audiences": ["rolecall"],
        "user": {
            "username": RULES.username,
            "extra": {f"authentication.kubernetes.io/{key}": each for key, each in extra.items()},
        },
    }
    return msgspec.convert({**said, **fields}, Status)


def test_a_review_says_whose_token_it_is() -> None:
    """Everything is taken from the review, nothing from the token."""
    assert judge(status(), RULES) == AGENT


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"authenticated": False, "error": "expired"}, UnauthenticatedError),
        ({"authenticated": None}, UnauthenticatedError),
        ({"audiences": None}, UnauthenticatedError),
        ({"audiences": []}, UnauthenticatedError),
        ({"audiences": ["https://kubernetes.default.svc"]}, UnauthenticatedError),
        ({"user": None}, ForbiddenError),
        ({"user": {"username": "system:serviceaccount:rolecall:default"}}, ForbiddenError),
        ({"user": {"username": RULES.username}}, ForbiddenError),
        (
            {
                "user": {
                    "username": RULES.username,
                    "extra": {"authentication.kubernetes.io/pod-uid": ["agent-1", "agent-2"]},
                }
            },
            ForbiddenError,
        ),
    ],
)
def test_a_review_that_does_not_say_an_agent_says_no(
    fields: dict[str, object], error: type[AuthenticationError]
) -> None:
    """Not accepted, not for our audience, not the agents' account, or bound to no one pod."""
    verdict = judge(status(**fields), RULES)

    assert isinstance(verdict, Refused)
    assert verdict.error is error


def test_of_too_many_the_one_that_was_not_used_is_forgotten() -> None:
    """The memory is bounded, and what is asked for stays."""
    memory: Remembered[int, str] = Remembered(2)
    memory.keep(1, "a", START, START + SECOND)
    memory.keep(2, "b", START, START + SECOND)
    memory.get(1, START)
    memory.keep(3, "c", START, START + SECOND)

    assert [memory.get(each, START) for each in (1, 2, 3)] == ["a", None, "c"]
    assert memory.get(1, START + SECOND) is None
    assert len(memory) == 1


def test_a_clock_that_is_set_back_prolongs_no_memory() -> None:
    """What was good for a second is not good for an hour and a second."""
    memory: Remembered[int, str] = Remembered(2)
    memory.keep(1, "a", START, START + SECOND)

    assert memory.get(1, START - timedelta(hours=1)) is None


def test_in_an_outage_one_question_is_asked_in_a_pause() -> None:
    """The API server says how long to leave it alone, and is believed up to half a minute."""
    outage = Outage()
    outage.begin(Unanswered(away=True, reason="503", retry_after=timedelta(seconds=7)), START)

    assert not outage.may_ask(START + 6 * SECOND)
    assert outage.may_ask(START + 7 * SECOND)
    assert not outage.may_ask(START + 7 * SECOND)
    assert outage.may_ask(START + 7 * SECOND + PAUSE)
    outage.begin(Unanswered(away=True, reason="503", retry_after=timedelta(days=1)), START)
    assert outage.may_ask(START + LONGEST_PAUSE)
    outage.end()
    assert outage.may_ask(START)


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
