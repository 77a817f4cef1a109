"""The server's parsers of what others send or write, where they have no other test of it."""

import asyncio
import contextlib
import json
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import trustme
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.junk import changed, documents, texts
from rolecall_common.secret import Secret
from rolecall_server.kube.access import Access, AccessError
from rolecall_server.kube.auth.jwks import KeySet, KeysUnusableError, read_keys
from rolecall_server.kube.auth.token_claims import AgentRules
from rolecall_server.kube.auth.token_review import Unanswered, review
from rolecall_server.kube.guard import Finding, evaluate
from rolecall_server.manifests.files import read_files
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.authenticator import Agent, LoopbackAuthenticator, UnauthenticatedError
from rolecall_server.policy.session_tags import TagTemplate, fault_of_values
from rolecall_server.rpc.authentication import bearer_token
from rolecall_server.rpc.certificate import CertificateError, KeyPair, read_pair
from rolecall_server.sts.error_codes import CallError
from rolecall_server.sts.own_credentials import OwnCredentials
from rolecall_server.sts.replies import read_reply
from rolecall_server.sts.transport import Reply

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
RULES = AgentRules("rolecall", "rolecall-agent", "rolecall")
KUBECONFIG = b"""\
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: 'https://127.0.0.1:6443', insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: secret}}]
"""
_ERROR = b"""\
<ErrorResponse><Error><Type>Sender</Type><Code>RequestExpired</Code><Message>skew</Message></Error>
<RequestId>r</RequestId></ErrorResponse>"""
_DATES = st.builds(
    "{}, {} Jan {} {}:00:00 {}".format,
    st.sampled_from(["Mon", "", "x"]),
    st.integers(),
    st.integers(),
    st.integers(),
    st.sampled_from(["GMT", "+0000", "+99999999999999999999", "-9999", "", "é"]),
)


@given(st.lists(st.tuples(st.just("authorization") | texts, texts | st.binary()), max_size=3))
def test_any_metadata_of_a_call_has_a_token_or_none(pairs: list[tuple[str, str | bytes]]) -> None:
    """Whatever a peer calls its authorization."""
    found = bearer_token(pairs)

    assert found is None or found.reveal()


@given(texts)
def test_any_token_is_a_node_or_nobody_on_loopback(text: str) -> None:
    """A name that no node can have is no token."""
    authenticator = LoopbackAuthenticator("127.0.0.1")
    try:
        agent = asyncio.run(authenticator.authenticate(Secret(text)))
    except UnauthenticatedError:
        return

    assert agent == Agent(agent.node)
    assert agent.node.isascii()


@given(texts, st.dictionaries(texts, texts, max_size=3))
def test_any_template_of_a_tag_is_read_or_refused(text: str, tags: dict[str, str]) -> None:
    """And any value that comes of it is judged."""
    fault_of_values(tuple(tags.items()))
    with contextlib.suppress(ValueError):
        assert TagTemplate.parse(text).parts or not text


@given(
    documents(["issuer"]),
    documents(["keys", "kid", "kty", "use", "alg", "n", "e", "crv", "x", "y"]),
)
def test_any_documents_of_an_issuer_are_keys_or_unusable(discovery: bytes, keys: bytes) -> None:
    """Whatever answers in the API server's place."""
    for issuer in (discovery, b'{"issuer": "https://issuer"}'):
        with contextlib.suppress(KeysUnusableError):
            assert isinstance(read_keys(issuer, keys), KeySet)


@given(
    st.fixed_dictionaries(
        {
            "kid": texts,
            "kty": st.sampled_from(["RSA", "EC", "oct", "OKP"]),
            "alg": st.sampled_from(["", "RS256", "ES256", "none", "HS256"]),
            "crv": st.sampled_from(["", "P-256", "P-521", "Ed25519", "secp256k1"]),
            "n": texts,
            "e": st.sampled_from(["", "AQAB", "AA", "====", "é"]),
            "x": texts,
            "y": texts,
        }
    ).map(lambda key: json.dumps({"keys": [key]}).encode())
)
@example(b'{"keys": [{"kid": "k", "kty": "RSA", "alg": "none"}]}')
def test_any_key_of_an_issuer_is_one_or_unusable(keys: bytes) -> None:
    """Also where the library fails at its numbers in a way that it has not declared."""
    with contextlib.suppress(KeysUnusableError):
        assert read_keys(b'{"issuer": "https://issuer"}', keys).keys


@given(
    documents(
        [
            *("status", "authenticated", "audiences", "user", "username", "extra", "error"),
            "authentication.kubernetes.io/pod-uid",
        ]
    )
)
def test_any_review_of_a_token_has_a_result(answer: bytes) -> None:
    """Nothing that comes back for a token lets anybody in by an error."""

    class Api:
        async def send(self, method: str, path: str, body: object) -> bytes:
            assert (method, bool(path), bool(body)) == ("POST", True, True)
            return answer

    result = asyncio.run(review(Api(), RULES, Secret("t")))  # type: ignore[arg-type]

    assert isinstance(result, Unanswered) or result


@given(
    documents(["metadata", "annotations", "spec", "failurePolicy", "rolecall.io/guarded-labels"]),
    documents(["spec", "policyName", "validationActions", "matchResources", "matchPolicy"]),
)
@example(b"{}", b'{"spec": {"matchResources":' + b"[" * 2000)
def test_any_policy_is_a_guard_or_none(policy: bytes, binding: bytes) -> None:
    """Whatever goes by the guard's name."""
    for pair in ((policy, binding), (b"{}", binding), (policy, b"{}")):
        assert isinstance(evaluate(*pair, "rolecall-node-guard", AnnotationKeys()), Finding)


@given(changed(KUBECONFIG) | st.binary())
@example(KUBECONFIG + b"preferences: " + b"[" * 600 + b"]" * 600)
@example(KUBECONFIG + b"preferences: " + b"9" * 5_000)
@settings(deadline=None)  # A disk may be slow.
def test_any_kubeconfig_is_read_or_refused(content: bytes) -> None:
    """And a refusal does not quote it: it may hold a secret."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(content)
        with contextlib.suppress(AccessError):
            asyncio.run(Access(Path(file.name))())


@given(
    st.integers(0, 999),
    st.binary() | st.just(_ERROR) | changed(_ERROR),
    texts | _DATES,
)
@example(400, _ERROR, "Mon, 4 May 99999999999 12:00:00 GMT")
@example(400, _ERROR, "Mon, 4 May 2026 12:00:00 +99999999999999999999")
def test_any_reply_of_sts_is_a_value_or_an_outcome(status: int, body: bytes, date: str) -> None:
    """Its date included, which is told where a clock is wrong."""
    keys = OwnCredentials("AKIA", Secret("secret"))

    def read(_: bytes) -> str:
        return "read"

    try:
        assert read_reply(Reply(status, body, date), keys, NOW, read) == "read"
    except CallError as error:
        assert error.explanation.isprintable()  # noqa: PT017 - not each is refused


@given(st.binary())
@settings(deadline=None)  # A disk may be slow.
def test_any_file_is_text_or_has_its_problem(content: bytes) -> None:
    """A manifest that is no text hinders no other one."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.yaml").write_bytes(content)
        (Path(folder) / "b.yaml").write_text("fine")
        found = read_files(Path(folder))

    assert (found["a.yaml"].problem is None) == (_decodes(content))
    assert found["b.yaml"].text == "fine"


@given(st.data())
@settings(deadline=None)  # A disk may be slow.
def test_any_certificate_and_key_are_a_pair_or_refused(data: st.DataObject) -> None:
    """Half-written, swapped or none at all: what is in use stays in use."""
    certificate, key = _pair()
    contents = st.sampled_from([certificate, key]) | changed(certificate) | changed(key)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "tls.crt", Path(folder) / "tls.key"
        for file in files:
            file.write_bytes(data.draw(contents | st.binary()))
        try:
            assert isinstance(read_pair(*files), KeyPair)
        except CertificateError as error:
            assert "PRIVATE" not in str(error)  # noqa: PT017 - not each is refused


@cache
def _pair() -> tuple[bytes, bytes]:
    issued = trustme.CA().issue_cert("127.0.0.1")
    return issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()


def _decodes(content: bytes) -> bool:
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return True
