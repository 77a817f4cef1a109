"""Generated rows: paths, hosts, methods and headers, each bent in every way that has been a hole.

What is right follows from what was bent and where, and from nothing of the endpoint's own: a path
is one of ours as it stands, or it is 404; what is encoded is 400, but in a role's name; and a
version is a version.
"""

from collections.abc import Iterator
from itertools import chain

from fakes.endpoint_rig import ROLES, request
from fakes.imds import REGION
from seams.agent.metadata.table.pods import DOCUMENT, INFO, LINE, OWN, PROOF, TTL, H, Row, put, raw

LIST = f"{ROLES}/"
USER_DATA = "/latest/user-data"
IDENTITY = "/latest/dynamic/instance-identity/document"
# What it is, its path, and what it gets as it stands.
BASES = (
    ("region", REGION, 200),
    ("list", LIST, 200),
    ("document", DOCUMENT, 200),
    ("info", INFO, 200),
    ("user data", USER_DATA, 404),
    ("identity", IDENTITY, 404),
)
# How many segments there are before a role: from there on what is encoded is decoded, once.
BEFORE_ROLE = ROLES.count("/")
Bent = tuple[str, str, int]  # How, what comes of it, and what it gets.


def _pieces(path: str) -> list[str]:
    """Return the segments of *path*, each with the slash before it; a last slash is a segment."""
    return [f"/{segment}" for segment in path[1:].split("/")]


def _in_each_segment(path: str, own: int) -> Iterator[Bent]:
    pieces = _pieces(path)
    for index, piece in enumerate(pieces):
        before, after = "".join(pieces[:index]), "".join(pieces[index + 1 :])
        name, where = piece[1:], f"segment {index}"
        in_role = index >= BEFORE_ROLE and path.startswith(ROLES)
        if index:
            yield f"{where} after two slashes", f"{before}/{piece}{after}", 404
            yield f"{where} after a backslash", f"{before}\\{name}{after}", 404
            slash, twice = (own, 404) if in_role and index > BEFORE_ROLE else (400, 400)
            yield f"{where} after an encoded slash", f"{before}%2F{name}{after}", slash
            yield f"{where} after one encoded twice", f"{before}%252F{name}{after}", twice
        yield f"{where} after a dot", f"{before}/.{piece}{after}", 404
        yield f"{where} after dots", f"{before}/x/..{piece}{after}", 404
        up = 404 if in_role else 400
        yield f"{where} after encoded dots", f"{before}/%2e%2e{piece}{after}", up
        if name:
            yield f"{where} with a parameter", f"{before}{piece};x{after}", 404
            yield f"{where} with a dot behind", f"{before}{piece}.{after}", 404
            yield f"{where} in capitals", f"{before}{piece.upper()}{after}", 404
            letter = f"%{ord(name[0]):02x}"
            one = own if in_role else 400
            yield f"{where} with a letter encoded", f"{before}/{letter}{name[1:]}{after}", one
            yield f"{where} with a blank behind", f"{before}{piece}%20{after}", up


def _at_the_end(path: str, own: int) -> Iterator[Bent]:
    decoded = 404 if path.startswith(f"{ROLES}/") else 400
    yield "with an encoded NUL", f"{path}%00", decoded
    yield "with an encoded line's end", f"{path}%0d%0aHost:%20x", decoded
    yield "with an overlong encoding", f"{path}%c0%ae%c0%ae%c0%af", decoded
    yield "with half an encoding", f"{path}%", 400
    yield "with a broken encoding", f"{path}%zz", 400
    yield "with a Unicode encoding", f"{path}%u002f", 400
    yield "with a letter more", f"{path}x", 404
    yield "with a segment more", f"{path}/x", 404
    yield "with a query", f"{path}?x=/../user-data", own
    yield "with an empty query", f"{path}?", own
    yield "with a broken query", f"{path}?%zz%00", own
    yield "with an encoded query", f"{path}%3fx", decoded
    yield "with a fragment", f"{path}#x", 400
    for name, text in (("blank", " x"), ("tab", "\t"), ("NUL", "\0"), ("DEL", "\x7f")):
        yield f"with a {name}", f"{path}{text}", 400
    yield "with Latin 1", f"{path}\xe9", 400
    yield "with raw overlong bytes", f"{path}\xc0\xae", 400
    for text in '"<>^`{|}~*$@,':
        yield f"with {text}", f"{path}{text}", 404


def _at_the_beginning(path: str, own: int) -> Iterator[Bent]:
    rest = path.removeprefix("/latest")
    for version in ("1.0", "2021-03-23", "2021-01-03", "9999-12-31"):
        yield f"of version {version}", f"/{version}{rest}", own
    for version in ("1.1", "2021-3-23", "20210323", "2021-02-30", "0000-00-00", "v1"):
        yield f"of no version {version}", f"/{version}{rest}", 404
    yield "of version *", f"/*{rest}", 404
    yield "of no version", rest, 404
    yield "of an empty version", f"/{rest}", 404
    yield "of a version twice", f"/latest{path}", 404
    yield "behind two slashes", f"/{path}", own
    yield "behind three slashes", f"//{path}", 404
    yield "behind a proxy's path", f"/proxy{path}", 404
    yield "behind an address", f"//169.254.169.254{path}", 404
    yield "behind an at sign", f"/@169.254.169.254{path}", 404
    yield "behind a scheme in the path", f"/http://169.254.169.254{path}", 404
    yield "in absolute form", f"http://169.254.169.254{path}", 400
    yield "in absolute form, https", f"https://169.254.169.254{path}", 400
    yield "in authority form", f"169.254.169.254:80{path}", 400
    yield "without its slash", path[1:], 400
    yield "behind a backslash", f"\\{path[1:]}", 400
    yield "behind an encoded slash", f"%2f{path[1:]}", 400


def _paths() -> Iterator[Row]:
    for name, path, own in BASES:
        for how, bent, status in chain(
            _in_each_segment(path, own), _at_the_end(path, own), _at_the_beginning(path, own)
        ):
            yield f"{name}: {how}", request(bent), OWN, (status,)


def _puts() -> Iterator[Row]:
    """Yield PUTs of what is nearly the token's path."""
    for how, path, status in (
        ("with a query", "/latest/api/token?ttl=1", 200),
        ("behind two slashes", "//latest/api/token", 200),
        ("behind three slashes", "///latest/api/token", 405),
        ("with two slashes inside", "/latest//api/token", 405),
        ("with two slashes at the end", "/latest/api/token//", 405),
        ("in capitals", "/LATEST/API/TOKEN", 405),
        ("with dots", "/latest/x/../api/token", 405),
        ("with a dot", "/latest/./api/token", 405),
        ("with a backslash", "/latest\\api/token", 405),
        ("with a parameter", "/latest/api/token;x", 405),
        ("with a segment more", "/latest/api/token/x", 405),
        ("with a letter less", "/latest/api/toke", 405),
        ("with an encoded letter", "/latest/api/t%6fken", 400),
        ("with an encoded slash", "/latest/api%2ftoken", 400),
        ("with an encoded NUL", "/latest/api/token%00", 400),
        ("of a date", "/2024-02-29/api/token", 403),
        ("of a date, final slash", "/2024-02-29/api/token/", 404),
        ("of a version twice", "/latest/latest/api/token", 405),
        ("without a version", "/api/token", 405),
        ("in absolute form", "http://169.254.169.254/latest/api/token", 400),
    ):
        yield f"PUT of the token {how}", put(f"{TTL}: 60", path=path), OWN, (status,)


def _lives() -> Iterator[Row]:
    good = ("1", "60", "21600", "0060", "0000021600")
    bad = (
        *("0", "00", "21601", "99999999999", "00000021600", "-60", "+60", "6 0", "60s", "60,60"),
        *("60.", ".60", "6e1", "0x3C", "0b1", "1_000", "\xb9", "six", "inf", "NaN", '"60"', "60;"),
    )
    for text in good:
        yield f"token for {text!r}", put(f"{TTL}: {text}"), OWN, (200,)
    for text in bad:
        yield f"token for {text!r}", put(f"{TTL}: {text}"), OWN, (400,)


def _hosts() -> Iterator[Row]:
    for host in (
        *("169.254.169.254:080", "169.254.169.254:00080", "169.254.169.254:", "169.254.169.254:0"),
        *("169.254.169.254:443", "169.254.169.254:80:80", "169.254.169.254 80", "169.254.169.254/"),
        *("169.254.169.254@x", "x:y@169.254.169.254", "169.254.169.254#x", "169.254.169.254?x"),
        *("169.254.169.254%00", "169.254.169.254,x", "x,169.254.169.254", "[169.254.169.254]"),
        *("169.254.43518", "169.16689662", "0251.0376.0251.0376", "0xa9.0xfe.0xa9.0xfe"),
        *(
            "0xa9fea9fe",
            "025177524776",
            "169.254.169.0xfe",
            "0169.0254.0169.0254",
            "169.254.169.255",
        ),
        *("[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "fd00:ec2::254:80", "[fd00:ec2::254"),
        *("[fd00:ec2::254%eth0]", "[fd00:ec2:0::254]", "[fd00:0ec2::254]", "[fd00:ec2::254]:81"),
        *("169.254.169.254.nip.io", "instance-data", "instance-data.ec2.internal", "metadata"),
        *("metadata.example", "metadata.example:8080.evil.example", "xmetadata.example:8080"),
        *("127.0.0.9", "127.0.0.1:80", "[::1]", "[::]", "\xb9\xb6\xb9.254.169.254"),
    ):
        yield f"host {host!r}", request(host=host), OWN, (400,)
    for host in ("METADATA.EXAMPLE:8080", "[fd00:EC2::254]", "[fd00:ec2::254]:80", "FD00:ec2::254"):
        yield f"host {host!r}", request(host=host), OWN, (200,)


def _methods() -> Iterator[Row]:
    for method in (
        *("ACL", "BIND", "CHECKOUT", "COPY", "LINK", "LOCK", "MERGE", "MKCOL", "MOVE", "NOTIFY"),
        *("PRI", "PROPFIND", "PURGE", "QUERY", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "UNLOCK"),
        *("Get", "GETS", "G3T", "HEADS", "Put", "PUTS", "CONNECT", "!#$%&'*+-.^_`|~"),
    ):
        yield f"method {method}", request(USER_DATA, method=method), OWN, (405,)
    for method in ("G\tT", "GE(T", "G\xc9T", "", "GET,"):
        yield f"no method {method!r}", request(USER_DATA, method=method), OWN, (400,)


def _fields() -> Iterator[Row]:
    """Yield headers that decide something, bent; the list is asked for with each."""
    for name, value, doubled in (
        ("Host", "169.254.169.254", 400),
        ("Content-Length", "0", 400),
        ("X-Forwarded-For", "1.2.3.4", 200),
        (TTL, "60", 400),
        (PROOF, "x", 401),
    ):
        own = 401 if name == PROOF else 200
        host = () if name == "Host" else (H,)
        for how, lines, status in (
            ("in capitals", (f"{name.upper()}: {value}",), own),
            ("without a blank", (f"{name}:{value}",), own),
            ("between blanks", (f"{name}: \t {value} \t",), own),
            ("twice", (f"{name}: {value}", f"{name}: {value}"), doubled),
            ("twice, in two cases", (f"{name}: {value}", f"{name.lower()}: {value}"), doubled),
            ("folded", (f"{name}:", f" {value}"), 400),
            ("behind a blank", (f"{name} : {value}",), 400),
            ("behind a tab", (f"{name}\t: {value}",), 400),
            ("with a NUL in the name", (f"{name}\0: {value}",), 400),
            ("with a NUL in the value", (f"{name}: {value}\0",), 400),
            ("with a return in the value", (f"{name}: {value}\rX: y",), 400),
            ("with a line feed in the value", (f"{name}: {value}\nX: y",), 400),
            ("without a colon", (f"{name} {value}",), 400),
        ):
            yield f"{name} {how}", raw(LINE, *host, *lines), OWN, (status,)


def _lengths() -> Iterator[Row]:
    for value in (
        "00",
        "-0",
        "0x0",
        "0.0",
        "0 0",
        "0,",
        "1",
        "8",
        "99999999999999999999",
        "",
        "\xb2",
    ):
        yield f"length {value!r}", request(LIST, f"Content-Length: {value}"), OWN, (400,)
    for value in ("chunked", "gzip, chunked", "chunked, identity", "", "x", " chunked", "CHUNKED"):
        sent = request(LIST, f"Transfer-Encoding: {value}")
        yield f"encoding {value!r}", sent + b"0\r\n\r\n", OWN, (400,)
        sent = request(LIST, "Content-Length: 0", f"Transfer-Encoding: {value}")
        yield f"length and encoding {value!r}", sent, OWN, (400,)


MUTATIONS: list[Row] = [
    *chain(_paths(), _puts(), _lives(), _hosts(), _methods(), _fields(), _lengths())
]
