"""Raw requests to the metadata door, each with its right answer (contract §5), in one table."""

import contextlib
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
import uvloop

from fakes.door_rig import BASE, ROLES, Answer, Rig, door_rig, known, pod, request
from rolecall_agent.tokens import LONGEST_LIFE
from rolecall_proto.values import Reason, State

OWN = "127.0.0.2"  # has the role team/reader under the base
OTHER = "127.0.0.3"  # has a role in another account, shown as an ARN
NO_ROLE = "127.0.0.4"
DENIED = "127.0.0.5"
FAILED = "127.0.0.6"
PENDING = "127.0.0.7"
STRICT = "127.0.0.8"  # must show a token
HOST = "127.0.0.9"  # is on the host network
TWICE = "127.0.0.10"  # two pods claim it
UNKNOWN = "127.0.0.11"
FOREIGN_ARN = "arn:aws:iam::444455556666:role/x/y"
TOKEN = "/latest/api/token"  # noqa: S105 - a path
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
PROOF = "X-aws-ec2-metadata-token"
DOCUMENT = f"{ROLES}/team/reader"


def raw(*lines: str) -> bytes:
    """Return a head as it is given, line by line."""
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"


def put(*headers: str, path: str = TOKEN) -> bytes:
    return request(path, *headers, method="PUT")


GET_LIST = request()
LINE = f"GET {ROLES}/ HTTP/1.1"
H = "Host: 169.254.169.254"

# What it is, what is sent, by which pod, and the statuses that come back until the door closes.
TABLE: list[tuple[str, bytes, str, tuple[int, ...]]] = [
    # Roles and documents.
    ("list", request(f"{ROLES}/"), OWN, (200,)),
    ("list without the slash", request(ROLES), OWN, (200,)),
    ("list of version 1.0", request(ROLES.replace("latest", "1.0")), OWN, (200,)),
    ("list of a dated version", request(ROLES.replace("latest", "2021-03-23")), OWN, (200,)),
    ("list of a date that is none", request(ROLES.replace("latest", "2021-13-01")), OWN, (404,)),
    ("list of the 29th of February", request(ROLES.replace("latest", "2023-02-29")), OWN, (404,)),
    ("list of another version", request(ROLES.replace("latest", "2.0")), OWN, (404,)),
    ("doubled first slash", request(f"/{ROLES}/"), OWN, (200,)),
    ("three first slashes", request(f"//{ROLES}/"), OWN, (404,)),
    ("doubled slash inside", request(ROLES.replace("/iam", "//iam")), OWN, (404,)),
    ("doubled slash before the role", request(f"{ROLES}//team/reader"), OWN, (404,)),
    ("upper-case path", request(ROLES.upper()), OWN, (404,)),
    ("query on the list", request(f"{ROLES}/?ip=127.0.0.3"), OWN, (200,)),
    ("query with encodings", request(f"{ROLES}/?x=%zz%00"), OWN, (200,)),
    ("document", request(DOCUMENT), OWN, (200,)),
    ("document by ARN", request(f"{ROLES}/{BASE}team/reader"), OWN, (200,)),
    ("document by ARN, arn in capitals", request(f"{ROLES}/ARN{BASE[3:]}team/reader"), OWN, (200,)),
    ("document, slash encoded", request(f"{ROLES}/team%2Freader"), OWN, (200,)),
    ("document, leading slash encoded", request(f"{ROLES}/%2fteam/reader"), OWN, (200,)),
    ("document, letter encoded", request(f"{ROLES}/team/r%65ader"), OWN, (200,)),
    ("document, encoded twice", request(f"{ROLES}/team%252Freader"), OWN, (404,)),
    ("document, doubled slash encoded", request(f"{ROLES}/%2F%2Fteam/reader"), OWN, (404,)),
    ("document, slash at the end", request(f"{DOCUMENT}/"), OWN, (404,)),
    ("document, query", request(f"{DOCUMENT}?role=admin"), OWN, (200,)),
    ("document of another role", request(f"{ROLES}/admin"), OWN, (404,)),
    ("document of another pod's role", request(f"{ROLES}/{FOREIGN_ARN}"), OWN, (404,)),
    ("document, the name's end only", request(f"{ROLES}/reader"), OWN, (404,)),
    ("document of half an ARN", request(f"{ROLES}/arn:"), OWN, (404,)),
    ("document with dots", request(f"{ROLES}/team/../team/reader"), OWN, (404,)),
    ("document, line feed encoded", request(f"{ROLES}/team/reader%0d%0aX: 1"), OWN, (400,)),
    ("document, line feed only encoded", request(f"{ROLES}/reader%0d%0a"), OWN, (404,)),
    ("document, NUL encoded", request(f"{DOCUMENT}%00"), OWN, (404,)),
    ("document, encoded beyond ASCII", request(f"{ROLES}/%C3%A9"), OWN, (404,)),
    ("document, broken encoding", request(f"{ROLES}/%zz"), OWN, (400,)),
    ("document, half an encoding", request(f"{ROLES}/reader%2"), OWN, (400,)),
    ("document, long name", request(f"{ROLES}/{'x' * 4000}"), OWN, (404,)),
    ("list of a role in another account", request(), OTHER, (200,)),
    ("document of a role in another account", request(f"{ROLES}/{FOREIGN_ARN}"), OTHER, (200,)),
    ("document by the name without account", request(f"{ROLES}/x/y"), OTHER, (404,)),
    # Whom there is nothing for.
    ("list, no role", request(), NO_ROLE, (404,)),
    ("document, no role", request(DOCUMENT), NO_ROLE, (404,)),
    ("list, denied", request(), DENIED, (404,)),
    ("document, denied", request(DOCUMENT), DENIED, (404,)),
    ("list, refused by STS", request(), FAILED, (404,)),
    ("list, credentials on their way", request(), PENDING, (503,)),
    ("document, credentials on their way", request(DOCUMENT), PENDING, (503,)),
    ("another document meanwhile", request(f"{ROLES}/admin"), PENDING, (404,)),
    ("list, host network", request(), HOST, (404,)),
    ("document, host network", request(DOCUMENT), HOST, (404,)),
    ("list, address of two pods", request(), TWICE, (503,)),
    ("list, unknown address", request(), UNKNOWN, (503,)),
    ("document, unknown address", request(DOCUMENT), UNKNOWN, (503,)),
    # Other paths: nothing of the node's.
    ("root", request("/"), OWN, (200,)),
    ("a version", request("/latest"), OWN, (200,)),
    ("user data", request("/latest/user-data"), OWN, (404,)),
    ("user data, trailing slash", request("/latest/user-data/"), OWN, (404,)),
    ("identity document", request("/latest/dynamic/instance-identity/document"), OWN, (404,)),
    (
        "the instance's own identity",
        request("/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance"),
        OWN,
        (404,),
    ),
    ("the extended list", request(f"{ROLES}-extended/"), OWN, (404,)),
    ("the extended document", request(f"{ROLES}-extended/team/reader"), OWN, (404,)),
    ("dots", request("/latest/dynamic/../user-data"), OWN, (404,)),
    ("one dot", request("/latest/./user-data"), OWN, (404,)),
    ("backslash", request("/latest\\user-data"), OWN, (404,)),
    ("path parameter", request("/latest/user-data;x"), OWN, (404,)),
    ("path from an unknown address", request("/latest/user-data"), UNKNOWN, (404,)),
    ("encoded letter in the path", request("/latest/%75ser-data"), OWN, (400,)),
    ("twice encoded letter", request("/latest/%2575ser-data"), OWN, (400,)),
    ("encoded slash in the path", request("/latest%2fuser-data"), OWN, (400,)),
    (
        "encoded before the role",
        request(f"{ROLES.replace('iam', 'i%61m')}/team/reader"),
        OWN,
        (400,),
    ),
    ("encoded token path", request("/latest/api/toke%6e"), OWN, (400,)),
    ("fragment", request(f"{ROLES}/#x"), OWN, (400,)),
    ("absolute form", request(f"http://169.254.169.254{ROLES}/"), OWN, (400,)),
    ("authority form", request("169.254.169.254:80", method="CONNECT"), OWN, (400,)),
    ("asterisk form", request("*", method="OPTIONS"), OWN, (400,)),
    ("no slash at the start", request("latest/user-data"), OWN, (400,)),
    ("path beyond ASCII", request("/latest/\xe9"), OWN, (400,)),
    ("blank in the path", request("/latest/user data"), OWN, (400,)),
    # Methods.
    ("HEAD of the list", request(method="HEAD"), OWN, (200,)),
    ("HEAD of a document", request(DOCUMENT, method="HEAD"), OWN, (200,)),
    ("HEAD, denied", request(method="HEAD"), DENIED, (404,)),
    ("POST", request(method="POST"), OWN, (405,)),
    ("POST, length 0", request(f"{ROLES}/", "Content-Length: 0", method="POST"), OWN, (405,)),
    ("DELETE", request(DOCUMENT, method="DELETE"), OWN, (405,)),
    ("OPTIONS", request(method="OPTIONS"), OWN, (405,)),
    ("TRACE", request(method="TRACE"), OWN, (405,)),
    ("PATCH", request(method="PATCH"), OWN, (405,)),
    ("a method of nobody's", request(method="FROB"), OWN, (405,)),
    ("lower-case get", request(method="get"), OWN, (405,)),
    ("PUT of the list", request(method="PUT"), OWN, (405,)),
    ("PUT of any path", put(f"{TTL}: 60", path="/latest/user-data"), OWN, (405,)),
    ("GET of the token", request(TOKEN), OWN, (405,)),
    ("HEAD of the token", request(TOKEN, method="HEAD"), OWN, (405,)),
    ("POST of the token", request(TOKEN, f"{TTL}: 60", method="POST"), OWN, (405,)),
    ("405 goes before 401", request(f"{ROLES}/", f"{PROOF}: bad", method="POST"), OWN, (405,)),
    # Tokens: how they are asked for.
    ("token", put(f"{TTL}: 21600"), OWN, (200,)),
    ("token for a second", put(f"{TTL}: 1"), OWN, (200,)),
    ("token, header in capitals", put(f"{TTL.upper()}: 60"), OWN, (200,)),
    ("token, doubled first slash", put(f"{TTL}: 60", path=f"/{TOKEN}"), OWN, (200,)),
    ("token, query", put(f"{TTL}: 60", path=f"{TOKEN}?x"), OWN, (200,)),
    ("token, length 0", put(f"{TTL}: 60", "Content-Length: 0"), OWN, (200,)),
    ("token without a role", put(f"{TTL}: 60"), NO_ROLE, (200,)),
    ("token for an unknown address", put(f"{TTL}: 60"), UNKNOWN, (200,)),
    ("token, no TTL", put(), OWN, (400,)),
    ("token, empty TTL", put(f"{TTL}:"), OWN, (400,)),
    ("token, TTL 0", put(f"{TTL}: 0"), OWN, (400,)),
    ("token, TTL too long", put(f"{TTL}: 21601"), OWN, (400,)),
    ("token, TTL negative", put(f"{TTL}: -1"), OWN, (400,)),
    ("token, TTL with a sign", put(f"{TTL}: +60"), OWN, (400,)),
    ("token, TTL in floating point", put(f"{TTL}: 60.0"), OWN, (400,)),
    ("token, TTL with an exponent", put(f"{TTL}: 1e3"), OWN, (400,)),
    ("token, TTL in hexadecimal", put(f"{TTL}: 0x3c"), OWN, (400,)),
    ("token, TTL with an underscore", put(f"{TTL}: 1_0"), OWN, (400,)),
    ("token, TTL in other digits", put(f"{TTL}: \xb2\xb3"), OWN, (400,)),
    ("token, TTL of 4,000 digits", put(f"{TTL}: {'9' * 4000}"), OWN, (400,)),
    ("token, two TTLs", put(f"{TTL}: 60", f"{TTL}: 60"), OWN, (400,)),
    ("token, forwarded", put(f"{TTL}: 60", "X-Forwarded-For: 127.0.0.3"), OWN, (403,)),
    ("token, forwarded for nobody", put(f"{TTL}: 60", "x-forwarded-for:"), OWN, (403,)),
    ("token, dated path", put(f"{TTL}: 60", path="/2021-03-23/api/token"), OWN, (403,)),
    ("token, version 1.0", put(f"{TTL}: 60", path="/1.0/api/token"), OWN, (403,)),
    ("token, slash at the end", put(f"{TTL}: 60", path=f"{TOKEN}/"), OWN, (404,)),
    ("token, date that is none", put(f"{TTL}: 60", path="/2021-13-01/api/token"), OWN, (405,)),
    # Tokens: how they are shown. (Good ones: below.)
    ("empty token", request(f"{ROLES}/", f"{PROOF}:"), OWN, (401,)),
    ("garbage", request(f"{ROLES}/", f"{PROOF}: garbage"), OWN, (401,)),
    ("56 characters of garbage", request(f"{ROLES}/", f"{PROOF}: {'A' * 56}"), OWN, (401,)),
    ("bad token, unknown path", request("/latest/user-data", f"{PROOF}: x"), OWN, (401,)),
    ("bad token, no role", request(f"{ROLES}/", f"{PROOF}: x"), NO_ROLE, (401,)),
    ("bad token, unknown address", request(f"{ROLES}/", f"{PROOF}: x"), UNKNOWN, (401,)),
    ("no token where one is needed", request(), STRICT, (401,)),
    ("the same for a document", request(DOCUMENT), STRICT, (401,)),
    ("the same for any path", request("/latest/user-data"), STRICT, (401,)),
    # Host.
    ("host with port", request(host="169.254.169.254:80"), OWN, (200,)),
    ("host of IPv6", request(host="[fd00:ec2::254]"), OWN, (200,)),
    ("host of IPv6 in capitals", request(host="[FD00:EC2::254]:80"), OWN, (200,)),
    ("host that is configured", request(host="metadata.example:8080"), OWN, (200,)),
    ("host that is the listener's", request(host="127.0.0.1:{port}"), OWN, (200,)),
    ("host that is configured, other port", request(host="metadata.example"), OWN, (400,)),
    ("the listener's without its port", request(host="127.0.0.1"), OWN, (400,)),
    ("another port", request(host="169.254.169.254:81"), OWN, (400,)),
    ("a name", request(host="evil.example"), OWN, (400,)),
    ("localhost", request(host="localhost"), OWN, (400,)),
    ("user in the host", request(host="x@169.254.169.254"), OWN, (400,)),
    ("dot at the host's end", request(host="169.254.169.254."), OWN, (400,)),
    ("host in one number", request(host="2852039166"), OWN, (400,)),
    ("empty host", request(host=""), OWN, (400,)),
    ("no host", raw(LINE), OWN, (400,)),
    ("two hosts", raw(LINE, H, H), OWN, (400,)),
    ("two hosts that differ", raw(LINE, H, "Host: evil.example"), OWN, (400,)),
    # Identity is the TCP peer and nothing else.
    ("forwarded GET", request(DOCUMENT, f"X-Forwarded-For: {DENIED}"), OWN, (200,)),
    ("forwarded for another", request(f"{ROLES}/", f"X-Forwarded-For: {OWN}"), DENIED, (404,)),
    ("Forwarded", request(f"{ROLES}/", f"Forwarded: for={OWN}"), NO_ROLE, (404,)),
    ("X-Real-IP", request(f"{ROLES}/", f"X-Real-IP: {OWN}"), NO_ROLE, (404,)),
    # Versions of HTTP.
    ("HTTP/1.0", raw(f"GET {ROLES}/ HTTP/1.0", H), OWN, (200,)),
    ("HTTP/1.0 without a host", raw(f"GET {ROLES}/ HTTP/1.0"), OWN, (200,)),
    ("HTTP/1.0 with a bad host", raw(f"GET {ROLES}/ HTTP/1.0", "Host: x"), OWN, (400,)),
    (
        "HTTP/1.0 is closed",
        raw("GET /x HTTP/1.0", "Connection: keep-alive") * 2,
        OWN,
        (404,),
    ),
    ("HTTP/1.2", raw(f"GET {ROLES}/ HTTP/1.2", H), OWN, (400,)),
    ("HTTP/2.0", raw(f"GET {ROLES}/ HTTP/2.0", H), OWN, (400,)),
    ("HTTP/0.9", f"GET {ROLES}/\r\n".encode(), OWN, (400,)),
    ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", OWN, (400,)),
    ("h2c upgrade", request(f"{ROLES}/", "Connection: Upgrade", "Upgrade: h2c"), OWN, (200,)),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", OWN, (400,)),
    ("no version", raw(f"GET {ROLES}/", H), OWN, (400,)),
    ("lower-case version", raw(f"GET {ROLES}/ http/1.1", H), OWN, (400,)),
    # Bodies and lengths.
    ("length 0", request(f"{ROLES}/", "Content-Length: 0"), OWN, (200,)),
    ("a body", request(f"{ROLES}/", "Content-Length: 3") + b"abc", OWN, (400,)),
    (
        "a body of POST",
        request("/", "Content-Length: 3", method="POST") + b"abc",
        OWN,
        (400,),
    ),
    ("two lengths", request(f"{ROLES}/", "Content-Length: 0", "Content-Length: 0"), OWN, (400,)),
    ("lengths in one", request(f"{ROLES}/", "Content-Length: 0, 0"), OWN, (400,)),
    ("length with a sign", request(f"{ROLES}/", "Content-Length: +0"), OWN, (400,)),
    ("length that is none", request(f"{ROLES}/", "Content-Length: x"), OWN, (400,)),
    ("chunked", request(f"{ROLES}/", "Transfer-Encoding: chunked") + b"0\r\n\r\n", OWN, (400,)),
    ("identity encoding", request(f"{ROLES}/", "Transfer-Encoding: identity"), OWN, (400,)),
    ("another encoding", request(f"{ROLES}/", "Transfer-Encoding: xchunked"), OWN, (400,)),
    (
        "length and encoding",
        request(f"{ROLES}/", "Content-Length: 0", "Transfer-Encoding: chunked"),
        OWN,
        (400,),
    ),
    # The head's form.
    ("bare line feeds", GET_LIST.replace(b"\r\n", b"\n"), OWN, (400,)),
    ("one bare line feed", raw(f"{LINE}\r\nA: b\nC: d", H), OWN, (400,)),
    ("bare carriage return", raw(LINE, H, "A: b\rC: d"), OWN, (400,)),
    ("folded line", raw(LINE, H, "A: b", " c"), OWN, (400,)),
    ("folded with a tab", raw(LINE, H, "A: b", "\tc"), OWN, (400,)),
    ("blank before the colon", raw(LINE, H, "A : b"), OWN, (400,)),
    ("blank before the host's colon", raw(LINE, "Host : 169.254.169.254"), OWN, (400,)),
    ("no colon", raw(LINE, H, "nonsense"), OWN, (400,)),
    ("no name", raw(LINE, H, ": x"), OWN, (400,)),
    ("NUL in a value", raw(LINE, H, "A: b\0c"), OWN, (400,)),
    ("control character in a value", raw(LINE, H, "A: \x01"), OWN, (400,)),
    ("empty line first", b"\r\n" + GET_LIST, OWN, (400,)),
    ("two blanks in the request line", raw(f"GET  {ROLES}/ HTTP/1.1", H), OWN, (400,)),
    ("tab in the request line", raw(f"GET\t{ROLES}/ HTTP/1.1", H), OWN, (400,)),
    ("blank at the request line's end", raw(f"{LINE} ", H), OWN, (400,)),
    ("100 headers", raw(LINE, H, *(f"A{n}: b" for n in range(99))), OWN, (200,)),
    ("101 headers", raw(LINE, H, *(f"A{n}: b" for n in range(100))), OWN, (400,)),
    ("2,000 headers", raw(LINE, H, *("A: b" for _ in range(2000))), OWN, (400,)),
    ("8 KiB", raw(LINE, H, f"A: {'x' * (8192 - len(raw(LINE, H, 'A: ')))}"), OWN, (200,)),
    ("a byte more", raw(LINE, H, f"A: {'x' * (8193 - len(raw(LINE, H, 'A: ')))}"), OWN, (400,)),
    ("100 KB in one header", raw(LINE, H, f"A: {'x' * 100_000}"), OWN, (400,)),
    ("9 KB that never end", b"GET /" + b"x" * 9000, OWN, (400,)),
    ("half a head", GET_LIST[:-2], OWN, ()),
    ("nothing", b"", OWN, ()),
    # Pipelines.
    ("two at once", GET_LIST + request(DOCUMENT), OWN, (200, 200)),
    ("answers keep the order", GET_LIST + request("/x") + request(TOKEN), OWN, (200, 404, 405)),
    ("100 at once", GET_LIST * 100, OWN, (200,) * 100),
    ("250 at once", GET_LIST * 250, OWN, (200,) * 250),
    ("a bad one ends it", GET_LIST + request(host="x") + GET_LIST, OWN, (200, 400)),
    ("close ends it", GET_LIST + request("/x", "Connection: close") + GET_LIST, OWN, (200, 404)),
    ("close among others", request("/x", "Connection: TE, Close") + GET_LIST, OWN, (404,)),
    ("garbage after a request", GET_LIST + b"garbage\r\n\r\n", OWN, (200, 400)),
    ("a held one holds the next", request() + request("/x"), PENDING, (503, 404)),
    ("two held ones wait together", request() + request(), PENDING, (503, 503)),
]


@contextlib.asynccontextmanager
async def table_rig() -> AsyncGenerator[Rig]:
    async with door_rig() as rig:
        rig.snapshot(
            *known(
                pod(OWN, role="team/reader", role_arn=f"{BASE}team/reader"),
                pod(OTHER, role=FOREIGN_ARN, role_arn=FOREIGN_ARN),
                pod(NO_ROLE, State.DENIED, Reason.NO_ROLE, role="", role_arn=""),
                pod(DENIED, State.DENIED, Reason.NAMESPACE_FORBIDS),
                pod(FAILED, State.FAILED, Reason.ACCESS_DENIED),
                pod(
                    PENDING,
                    State.PENDING,
                    Reason.CREDENTIALS_PENDING,
                    role_arn=f"{BASE}team/reader",
                ),
                pod(STRICT, role_arn=f"{BASE}team/reader", imdsv2_required=True),
                pod(HOST, State.DENIED, Reason.NO_ROLE, host_network=True),
                pod(TWICE),
                pod(TWICE, uid="another"),
            )
        )
        yield rig


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncGenerator[Rig]:
    async with table_rig() as rig:
        yield rig


async def answers_to(rig: Rig, name: str, sent: bytes, source: str) -> list[Answer]:
    async with rig.client(source) as client:
        client.send(sent.replace(b"{port}", str(rig.port).encode()))
        return await client.rest(has_body=not name.startswith("HEAD"))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("name", "sent", "source", "statuses"), TABLE, ids=[row[0] for row in TABLE]
)
async def test_every_request_gets_its_right_answer(
    rig: Rig, name: str, sent: bytes, source: str, statuses: tuple[int, ...]
) -> None:
    """A row: what a pod sends, half-closing after it, and all it gets until the door closes."""
    answers = await answers_to(rig, name, sent, source)

    assert tuple(answer.status for answer in answers) == statuses
    for answer in answers:
        assert answer.headers["server"] == "EC2ws"
        if answer.status == 400 and b"/api/token" not in sent:
            assert answer.headers["connection"] == "close"
        if answer.status in (400, 401, 503):
            assert answer.body == b""


def test_the_table_holds_on_uvloop() -> None:
    """The agent's own loop answers every row as asyncio's does."""

    async def wrong_rows() -> list[tuple[str, list[int]]]:
        wrong = []
        async with table_rig() as rig:
            for name, sent, source, statuses in TABLE:
                answers = await answers_to(rig, name, sent, source)
                if tuple(answer.status for answer in answers) != statuses:
                    wrong.append((name, [answer.status for answer in answers]))
        return wrong

    assert uvloop.run(wrong_rows()) == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("spelling", "status"),
    [
        ("{}", 200),
        ("  {}  ", 200),
        ("{}\r\nX-aws-ec2-metadata-token: {}", 401),
        ("{}\r\nX-aws-ec2-metadata-token:", 401),
        ("{}=", 401),
        ("{}A", 401),
        ('"{}"', 401),
        ("{}, {}", 401),
        ("Bearer {}", 401),
    ],
)
async def test_a_token_is_shown_once_and_as_it_was_given(
    rig: Rig, spelling: str, status: int
) -> None:
    """Doubled, quoted, padded or longer, it is no token."""
    async with rig.client(STRICT) as client:
        client.send(put(f"{TTL}: 60"))
        token = (await client.answer()).body.decode()
        client.send(request(DOCUMENT, f"{PROOF}: {spelling.replace('{}', token)}"))

        assert (await client.answer()).status == status


@pytest.mark.asyncio(loop_scope="module")
async def test_a_token_of_another_address_is_none(rig: Rig) -> None:
    """Whoever reads it in passing cannot use it."""
    async with rig.client(OTHER) as other, rig.client(STRICT) as client:
        other.send(put(f"{TTL}: {LONGEST_LIFE.seconds}"))
        token = (await other.answer()).body.decode()
        client.send(request(DOCUMENT, f"{PROOF}: {token}"))

        assert (await client.answer()).status == 401


@pytest.mark.asyncio(loop_scope="module")
async def test_all_404_of_a_credential_path_are_byte_identical(rig: Rig) -> None:
    """A pod cannot tell a denial from a role that does not exist."""
    asked = [
        (request(f"{ROLES}/admin"), OWN),
        (request(f"{ROLES}/{FOREIGN_ARN}"), OWN),
        (request(f"{ROLES}//x"), OWN),
        (request(DOCUMENT), NO_ROLE),
        (request(DOCUMENT), DENIED),
        (request(DOCUMENT), FAILED),
        (request(DOCUMENT), HOST),
        (request(), NO_ROLE),
        (request(), DENIED),
    ]
    answers = [(await rig.ask(sent, source))[0].raw for sent, source in asked]

    assert len(set(answers)) == 1
    assert answers[0].endswith(b"Content-Length: 0\r\n\r\n")
