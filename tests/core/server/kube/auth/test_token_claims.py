"""What may be an agent's token, by what it says about itself."""

import base64
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.authentication import ISSUER, RULES, claims, signed
from fakes.clock import START
from rolecall_proto.values import NodeName, PodUid
from rolecall_server.kube.auth.token_claims import Claims, Holder, read_token
from rolecall_server.model.authenticator import (
    AuthenticationError,
    ForbiddenError,
    UnauthenticatedError,
)

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
