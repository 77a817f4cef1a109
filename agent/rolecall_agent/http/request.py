"""Reads one request head, strictly: bytes in, a request or nothing out.

httptools (llhttp) parses; what it lets pass and the contract does not is refused here: bare line
feeds, folded lines, too many or too long headers, doubled ones, bodies, other forms of the target.
"""

import re
from dataclasses import dataclass, field

import httptools

from rolecall_agent.decision import Target
from rolecall_common.secret import NotPickled
from rolecall_proto.values import Address

HEAD_END = b"\r\n\r\n"
LONGEST_HEAD = 8192  # bytes; contract §5
MOST_HEADERS = 100  # contract §5

# The target is what a browser, curl or SDK can send: visible ASCII, from the root, no fragment.
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[!-\"$-~]*) HTTP/1\.([01])\r\n")
_FOLDED = re.compile(rb"\r\n[ \t]")
_KNOWN_TO_LLHTTP = frozenset({b"GET", b"HEAD", b"PUT"})


@dataclass(slots=True)
class Request(NotPickled):
    """What the endpoint looks at in a request; everything else of it is ignored.

    Not frozen, because a frozen one costs the endpoint a microsecond a request. Nobody changes it:
    one is kept for all who ask the same (`known_heads.py`).
    """

    method: bytes
    path: bytes  # Without the query.
    host: bytes | None  # None on HTTP/1.0 only.
    # Every metadata token that was sent: one is right, two are wrong.
    tokens: tuple[bytes, ...] = field(repr=False)
    ttl: bytes | None  # What was asked of a token's life, as it was written.
    forwarded: bool  # Whether X-Forwarded-For was there, with whatever value.
    keep_alive: bool
    # Every Authorization that was sent; of use at the container endpoint only.
    authorizations: tuple[bytes, ...] = field(default=(), repr=False)

    def with_token(self, token: bytes) -> "Request":
        """Return the same with *token* in the place of whatever tokens it has."""
        return Request(
            self.method,
            self.path,
            self.host,
            (token,),
            self.ttl,
            self.forwarded,
            self.keep_alive,
            self.authorizations,
        )


@dataclass(slots=True)
class ReceivedRequest(NotPickled):
    """One request on its way to an answer. Not frozen: `keep_alive` is for us to take back."""

    request: Request
    target: Target
    head: bytes = field(repr=False)  # There may be a token in it.
    peer: Address
    peer_name: str  # The peer, as the kernel writes it.
    at: float  # When its head had arrived, on the loop's clock.
    keep_alive: bool = True  # Whether another may follow, as far as both sides know.


def parse(head: bytes) -> Request | None:
    """Parse *head*, up to and with the empty line; None where it is malformed. Never raises."""
    line = _REQUEST_LINE.match(head)
    if line is None or not _is_well_formed(head):
        return None
    method, target, minor = line.groups()
    reading = _Reading()
    # llhttp refuses methods that it does not know; for us they are well-formed, and refused later.
    text = head if method in _KNOWN_TO_LLHTTP else b"GET" + head[len(method) :]
    try:
        httptools.HttpRequestParser(reading).feed_data(text)
    except httptools.HttpParserUpgrade:
        pass  # An offer to speak something else, which a server may ignore.
    except httptools.HttpParserCallbackError:
        raise  # What was sent is not to blame: `_Reading` has failed.
    except httptools.HttpParserError:
        return None
    if not reading.well_formed or (reading.host is None and minor == b"1"):
        return None
    return Request(
        method=method,
        path=target.partition(b"?")[0],
        host=reading.host,
        tokens=reading.tokens,
        ttl=reading.ttl,
        forwarded=reading.forwarded,
        keep_alive=minor == b"1" and not reading.close,
        authorizations=reading.authorizations,
    )


def is_hopeless(partial: bytes, seen: int = 0) -> bool:
    """Whether no more bytes can make *partial*, which has no empty line yet, a well-formed head.

    Its first bytes, as many as *seen*, were found to be none of that, and are not looked at again.
    """
    if len(partial) >= LONGEST_HEAD:
        return True
    # The last byte that was seen may be the first half of a line's end.
    start = seen - 1 if partial.endswith(b"\r", 0, seen) else seen
    if partial.count(b"\n", start) != partial.count(b"\r\n", start):
        return True
    first = partial.find(b"\r\n")
    return first >= start and _REQUEST_LINE.match(partial) is None


def _is_well_formed(head: bytes) -> bool:
    lines = head.count(b"\r\n")
    return (
        len(head) <= LONGEST_HEAD
        and lines - 2 <= MOST_HEADERS  # The request line and the empty one are none.
        and lines == head.count(b"\n") == head.count(b"\r")
        and _FOLDED.search(head) is None
    )


class _Reading:
    """Collects what llhttp calls out. One per head: a parser that has failed is not used again."""

    __slots__ = (
        *("authorizations", "close", "forwarded", "host", "length"),
        *("tokens", "ttl", "well_formed"),
    )

    def __init__(self) -> None:
        self.host: bytes | None = None
        self.tokens: tuple[bytes, ...] = ()
        self.authorizations: tuple[bytes, ...] = ()
        self.ttl: bytes | None = None
        self.length: bytes | None = None
        self.forwarded = self.close = False
        self.well_formed = True

    def on_header(self, name: bytes, value: bytes) -> None:
        take = _TAKERS.get(name.lower())
        if take is not None:
            take(self, value.strip(b" \t"))

    def take_host(self, value: bytes) -> None:
        self.well_formed &= self.host is None
        self.host = value.lower()

    def take_token(self, value: bytes) -> None:
        self.tokens += (value,)

    def take_authorization(self, value: bytes) -> None:
        self.authorizations += (value,)

    def take_ttl(self, value: bytes) -> None:
        self.well_formed &= self.ttl is None
        self.ttl = value

    def take_length(self, value: bytes) -> None:
        self.well_formed &= self.length is None and value == b"0"
        self.length = value

    def take_transfer_encoding(self, _: bytes) -> None:
        self.well_formed = False

    def take_forwarded(self, _: bytes) -> None:
        self.forwarded = True

    def take_connection(self, value: bytes) -> None:
        self.close |= any(word.strip() == b"close" for word in value.lower().split(b","))


_TAKERS = {
    b"host": _Reading.take_host,
    b"authorization": _Reading.take_authorization,
    b"x-aws-ec2-metadata-token": _Reading.take_token,
    b"x-aws-ec2-metadata-token-ttl-seconds": _Reading.take_ttl,
    b"x-forwarded-for": _Reading.take_forwarded,
    b"content-length": _Reading.take_length,
    b"transfer-encoding": _Reading.take_transfer_encoding,
    b"connection": _Reading.take_connection,
}
