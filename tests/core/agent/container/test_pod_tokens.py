"""Tokens of pods: read totally, verified by rules that change, remembered within bounds."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt import PyJWS

from fakes.authentication import signing_key
from fakes.container_rig import NODE, endpoint_keys, rules, said, token
from fakes.endpoint_rig import START, known, pod
from rolecall_agent.container import pod_tokens
from rolecall_agent.container.decide import REFUSALS, SERVED_ROUTES, decide, find
from rolecall_agent.container.pod_tokens import (
    UNDECIDED,
    Claims,
    PodTokens,
    read,
    shown_in,
    token_of,
)
from rolecall_agent.container.signatures import Signatures
from rolecall_agent.decision import MALFORMED, TIMED_OUT, Hold, outcome_of, status_of
from rolecall_agent.http.counters import Counters
from rolecall_agent.http.request import Request, parse
from rolecall_agent.store.cache import Cache
from rolecall_proto.values import NodeName, PodTokenRules, Reason, SnapshotEnd, State

KEYS = endpoint_keys()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below),
    max_leaves=8,
)
# Whatever stands where something is expected.
NAMES = ("exp", "nbf", "iat", "iss", "aud", "sub", "kubernetes.io")


def tokens_of_cluster() -> PodTokens:
    tokens = PodTokens(lambda: None)
    tokens.verify_with(Signatures)
    return tokens


def signed_json(payload: object) -> str:
    """Return a token that says *payload*, which a library may think to be none."""
    content = json.dumps(payload).encode()
    return PyJWS().encode(content, signing_key("key-1"), "RS256", {"kid": "key-1"})


def part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@given(st.text() | st.text(alphabet="abcABC012-_=.", max_size=40))
def test_any_text_is_read_without_surprise(text: str) -> None:
    """What is no token is nothing, and is told apart from a token that is not ours."""
    tokens = tokens_of_cluster()

    assert read(text) is None
    assert tokens.verify(text, KEYS, START) is None


@given(JSON, JSON)
def test_any_json_is_read_without_surprise(header: object, payload: object) -> None:
    """Nobody has signed it, so it is never good."""
    assert tokens_of_cluster().verify(f"{part(header)}.{part(payload)}.AAAA", KEYS, START) is None


@given(st.sampled_from(NAMES), JSON)
def test_a_signed_token_with_anything_in_one_claim(name: str, value: object) -> None:
    """It is good by what it says, or it is not; the API server's own bugs stop nobody."""
    text = signed_json({**said(), name: value})
    verified = tokens_of_cluster().verify(text, KEYS, START)

    assert verified is None or verified == read(text)


@given(st.sampled_from(("namespace", "serviceaccount", "pod", "node")), JSON)
def test_a_signed_token_with_anything_in_its_binding(name: str, value: object) -> None:
    """As above, of the part that says whose token it is."""
    bound = {**said()["kubernetes.io"], name: value}
    text = signed_json({**said(), "kubernetes.io": bound})

    assert isinstance(tokens_of_cluster().verify(text, KEYS, START), Claims | None)


@given(st.binary(max_size=64))
def test_any_header_is_read_without_surprise(value: bytes) -> None:
    """One Authorization is a token, more or fewer are none."""
    assert isinstance(token_of((value,)), str)
    assert token_of(()) == token_of((value, value)) == ""


@given(st.sampled_from((b"Authorization: ", b"authorization: ")), st.binary(max_size=64))
def test_a_token_is_found_in_a_head_as_it_is_parsed(name: bytes, value: bytes) -> None:
    """By the spelling of SDKs, and without parsing the rest."""
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + name + value + b"\r\n\r\n"
    found, request = shown_in(head), parse(head)

    assert request is None or found == token_of(request.authorizations)
    assert shown_in(value) == "" or b"uthorization: " in value


@given(st.lists(st.text() | JSON.map(json.dumps), max_size=4))
def test_keys_that_cannot_be_used_are_left_out(texts: list[str]) -> None:
    """Those that can be used stay."""
    [good] = rules().keys
    signatures = Signatures(PodTokenRules("i", ("a",), (*texts, good)))

    assert set(signatures.key_ids) == {"key-1"}


def test_a_key_that_would_let_anybody_sign_is_left_out() -> None:
    """A shared secret, or none, is no public key."""
    secret = {"kty": "oct", "kid": "shared", "k": "c2VjcmV0", "alg": "HS256"}
    signatures = Signatures(PodTokenRules("i", ("a",), (json.dumps(secret),)))

    assert not signatures.key_ids
    assert not signatures.has_signed(token(), "shared")


def test_a_token_says_whose_it_is() -> None:
    """Everything that is held against the pod as the server has told it."""
    claims = read(token())

    assert claims is not None
    assert (claims.pod, claims.pod_name, claims.namespace) == ("uid-a", "pod-10.0.0.1", "shop")
    assert (claims.service_account, claims.node) == ("default", NODE)
    assert claims.ends - claims.begins == timedelta(hours=1)


def test_an_api_server_of_old_names_no_node() -> None:
    """The pod says it then: it is here, or it is not."""
    bound = {**said()["kubernetes.io"], "node": None}

    assert isinstance(
        tokens_of_cluster().verify(token(**{"kubernetes.io": bound}), KEYS, START), Claims
    )


def test_a_token_of_another_node_is_not_good() -> None:
    """Whatever this node's agent has heard of its pod."""
    elsewhere = replace(KEYS, node=NodeName("node-2"))

    assert tokens_of_cluster().verify(token(), elsewhere, START) is None


def test_without_rules_or_without_a_verifier_nobody_can_tell() -> None:
    """The second is asked for, and only where a token could be good."""
    wanted: list[int] = []
    tokens = PodTokens(lambda: wanted.append(1))

    assert tokens.verify(token(), replace(KEYS, pod_tokens=None), START) is UNDECIDED
    assert tokens.verify("garbage", KEYS, START) is None
    assert wanted == []
    assert tokens.verify(token(), KEYS, START) is UNDECIDED
    assert wanted == [1]


class Counting(Signatures):
    """Counts what it verifies."""

    verified = 0

    def has_signed(self, token: str, key_id: str) -> bool:
        Counting.verified += 1
        return super().has_signed(token, key_id)


def test_a_signature_is_checked_once() -> None:
    """Good or bad: until the token's end, or until the rules are others."""
    Counting.verified = 0
    tokens = PodTokens(lambda: None)
    tokens.verify_with(Counting)
    bad = token()[:-6] + "AAAAAA"
    for _ in range(3):
        assert isinstance(tokens.verify(token(), KEYS, START), Claims)
        assert tokens.verify(bad, KEYS, START) is None
    assert Counting.verified == 2
    assert tokens.verify(token(), KEYS, START + timedelta(hours=1)) is None
    assert Counting.verified == 2

    assert tokens.verify(token(), endpoint_keys(rules("key-1", "key-2")), START) is not None
    assert Counting.verified == 3


def test_only_a_token_that_was_verified_tells_its_pod_at_once() -> None:
    """Whatever it claims, and no longer than the keys are the same."""
    tokens = tokens_of_cluster()
    bad = token()[:-6] + "AAAAAA"
    before = tokens.verified(token())
    tokens.verify(bad, KEYS, START)
    tokens.verify(token(), KEYS, START)
    after = tokens.verified(token())
    tokens.verify("garbage", endpoint_keys(rules("key-2")), START)

    assert (before, after) == (None, "uid-a")
    assert tokens.verified(bad) is None
    assert tokens.verified(token()) is None


def test_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a flood of bad tokens drives no good one out."""
    monkeypatch.setattr(pod_tokens, "MOST_GOOD", 2)
    monkeypatch.setattr(pod_tokens, "MOST_BAD", 2)
    Counting.verified = 0
    tokens = PodTokens(lambda: None)
    tokens.verify_with(Counting)
    good = [token(jti=str(number)) for number in range(3)]
    tokens.verify(good[0], KEYS, START)
    for number in range(5):
        tokens.verify(good[0][:-6] + f"AAAAA{number}", KEYS, START)
    assert Counting.verified == 6
    tokens.verify(good[0], KEYS, START)
    assert Counting.verified == 6
    for each in (*good[1:], good[0]):
        tokens.verify(each, KEYS, START)

    assert Counting.verified == 9


# --- what the endpoint counts ---

PODS = (
    pod("10.0.0.1", uid="uid-1"),
    pod("10.0.0.2", State.DENIED, Reason.NO_ROLE, uid="uid-2"),
    pod("10.0.0.3", State.DENIED, Reason.NAMESPACE_FORBIDS, uid="uid-3"),
    pod("10.0.0.4", State.FAILED, Reason.ACCESS_DENIED, uid="uid-4"),
    pod("10.0.0.5", State.PENDING, Reason.CREDENTIALS_PENDING, uid="uid-5"),
    pod("10.0.0.6", uid="uid-6", host_network=True),
)


def asked(method: bytes, path: str, authorization: str) -> Request:
    return Request(
        method=method,
        path=path.encode(),
        host=b"169.254.170.23:9804",
        tokens=(),
        ttl=None,
        forwarded=False,
        keep_alive=True,
        authorizations=(authorization.encode("latin-1"),),
    )


def test_every_end_of_a_request_is_counted_from_zero() -> None:
    """Series exist before they move, and none exists that cannot."""
    cache, tokens = Cache(), tokens_of_cluster()
    cache.begin()
    for update in (KEYS, *known(*PODS), SnapshotEnd()):
        cache.apply(update, START)
    shown = [token(f"uid-{number}", f"pod-10.0.0.{number}") for number in range(1, 8)]
    ends = {(MALFORMED.status, MALFORMED.outcome)}
    found = set()
    for method, path, text in product((b"GET", b"POST"), ("/v1/credentials", "/"), (*shown, "x")):
        target = find(path.encode())
        decision = decide(asked(method, path, text), target, tokens, cache, START)
        if isinstance(decision, Hold):
            found.add((target.route, TIMED_OUT.status, TIMED_OUT.outcome))
        else:
            found |= {
                (target.route, status_of(decision), outcome_of(decision, waited=waited))
                for waited in (False, True)
            }
    counted = Counters(REFUSALS, SERVED_ROUTES).requests

    assert set(counted.values()) == {0}
    assert {each for each in counted if each[1:] not in ends} == found
