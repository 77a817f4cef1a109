"""The node's parsers of what others send or write, where they have no other test of it."""

import asyncio
import base64
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
from fakes.clock import FakeClock
from rolecall_agent.container import decide, pod_tokens
from rolecall_agent.container.signatures import Signatures
from rolecall_agent.decision import Item
from rolecall_agent.http.host_header import names_of
from rolecall_agent.metadata.imds_client import ImdsClient, RefusedError, UnavailableError
from rolecall_agent.sync.ca_bundle import CaBundle, CaBundleError, read_ca_bundle
from rolecall_common import endpoint_file
from rolecall_common.settings.declare import Problem, SettingsError
from rolecall_common.settings.types import HostPort
from rolecall_common.settings.yaml_file import read_file
from rolecall_proto.values import PodTokenRules
from rolecall_warden import file_changes, incumbents, rules, table_comments

NOW = datetime.now(UTC)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\neu-west-1"


def _text(data: bytes) -> str:
    return data.decode("latin-1")


CLAIMS = ["exp", "iat", "nbf", "aud", "iss", "kubernetes.io", "pod", "uid", "node", "name"]
KEY = ["kid", "kty", "alg", "crv", "n", "e", "x", "y", "k", "d", "key_ops", "use"]


@given(st.data())
@settings(deadline=None)  # A disk may be slow.
def test_any_bundle_is_believed_or_refused(data: st.DataObject) -> None:
    """Half-written, empty or of another kind: what is in use stays in use."""
    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        path.write_bytes(data.draw(changed(_authority()) | st.binary()))
        with contextlib.suppress(CaBundleError):
            assert isinstance(read_ca_bundle(path, NOW), CaBundle)


@given(st.lists(changed(ANSWER) | st.binary() | st.just(ANSWER), min_size=1, max_size=3))
@settings(deadline=None)  # A real socket.
def test_whatever_the_nodes_own_metadata_says_is_a_value_or_none(said: list[bytes]) -> None:
    """A value is lines of printable characters, whatever answers at its address."""

    async def ask() -> bytes | None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said.pop() if len(said) > 1 else said[0])
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            try:
                return await ImdsClient(HostPort("127.0.0.1", port), FakeClock()).read(Item.REGION)
            except (RefusedError, UnavailableError):
                return None

    value = asyncio.run(ask())

    assert value is None or all(char.isprintable() or char in "\t\r\n" for char in value.decode())


@given(documents(["alg", "kid", "typ"]), documents(CLAIMS), st.binary() | texts)
def test_any_token_of_a_pod_is_read_or_refused(
    header: bytes, payload: bytes, signature: bytes | str
) -> None:
    """Whatever a pod's file may hold."""
    pieces = [header, payload, signature if isinstance(signature, bytes) else b""]
    parts = [base64.urlsafe_b64encode(piece).rstrip(b"=").decode() for piece in pieces]
    whole = ".".join(parts)
    for token in (whole, whole + "." + str(signature), str(signature), parts[1]):
        claims = pod_tokens.read(token)
        assert claims is None or claims.pod


@given(st.lists(st.binary(), max_size=3))
def test_any_authorization_holds_a_token_or_none(fields: list[bytes]) -> None:
    """Two of them are none."""
    token = pod_tokens.token_of(tuple(fields))

    assert not token or len(fields) == 1


@given(st.lists(documents(KEY).map(_text), max_size=3), texts)
def test_any_keys_of_a_snapshot_verify_nothing_by_an_error(keys: list[str], token: str) -> None:
    """What is no key is left out, and nothing that is no token is signed by one."""
    signatures = Signatures(PodTokenRules("https://issuer", ("rolecall",), tuple(keys)))

    assert not any(signatures.has_signed(token, key_id) for key_id in (*signatures.key_ids, "k"))


@example({"kty": "RSA", "alg": "none"}, set())
@example({"kty": "oct"}, set())
@given(
    st.fixed_dictionaries(
        {
            "kid": st.just("k"),
            "kty": st.sampled_from(["RSA", "EC", "oct", "OKP", "x"]),
            "alg": st.sampled_from(["", "none", "RS256", "ES512", "HS256", "EdDSA", "x"]),
            "crv": st.sampled_from(["", "P-256", "Ed25519", "secp256k1", "x"]),
            "n": texts,
            "e": st.sampled_from(["", "AQAB", "AA", "é"]),
            "x": texts,
            "y": texts,
            "k": st.sampled_from(["", "AAAA"]),
        }
    ),
    st.sets(st.sampled_from(KEY)),
)
def test_any_single_key_of_a_snapshot_is_taken_or_left_out(
    key: dict[str, str], without: set[str]
) -> None:
    """A secret that signs and verifies is never taken: a token could be made with it."""
    text = json.dumps({name: value for name, value in key.items() if name not in without})
    taken = Signatures(PodTokenRules("https://issuer", ("rolecall",), (text,))).key_ids

    assert not taken or key["kty"] in ("RSA", "EC")


@given(st.binary())
def test_any_path_leads_somewhere_at_the_container_endpoint(path: bytes) -> None:
    """One path is its own, and everything else is another."""
    assert decide.find(path).route


@given(st.ip_addresses(), st.integers(1, 65535), st.sampled_from(["", "%eth0", "%1"]))
def test_any_address_of_ours_has_a_name_in_ascii(address: object, port: int, zone: str) -> None:
    """However the kernel writes it."""
    assert all(name.isascii() and b"%" not in name for name in names_of(f"{address}{zone}", port))


@given(st.binary(max_size=200))
def test_any_bytes_name_files_that_changed(events: bytes) -> None:
    """Cut off or not, as the kernel never sends them."""
    assert "\0" not in "".join(file_changes.names(events))


@given(documents(["port"]) | changed(b'{"port": 18080}'))
@settings(deadline=None)  # A disk may be slow.
def test_any_file_names_a_port_or_none(content: bytes) -> None:
    """Where the endpoint is, or that nobody has said so."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(content)
        port = endpoint_file.read(Path(file.name))

    assert port is None or 0 < port <= 65535


@given(
    st.binary()
    | st.text().map(str.encode)
    | changed(b"region: eu-west-1\nmanifestNodes: {a: '10.0.0.0/8'}\nservers: [a, &b c, *b]\n")
    | st.sampled_from([b"[" * 2000, b"{a: " * 2000, b"? " * 500, b"!!python/object:os.x {}"])
)
@settings(deadline=None)  # A disk may be slow.
def test_any_settings_file_is_read_or_refused(content: bytes) -> None:
    """And a refusal says which file."""
    problems: list[Problem] = []
    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        path.write_bytes(content)
        with contextlib.suppress(SettingsError):
            assert isinstance(read_file(path, problems), dict)


@given(st.text() | changed(b'table inet rolecall {\n comment "x"\n chain y {\n').map(_text))
def test_any_listing_of_nft_is_read(listing: str) -> None:
    """By another version, cut off, or not nft's at all."""
    table_comments.parse(listing)
    table_comments.parse_addresses(listing)
    counts = rules.shape(listing)
    found = list(incumbents.in_nftables(listing))

    assert all(count >= 0 for count in counts.values())
    assert all("\n" not in line for line in found)


@cache
def _authority() -> bytes:
    return trustme.CA().cert_pem.bytes()
