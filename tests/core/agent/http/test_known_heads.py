"""What is known of a head once it was seen is what would be read of it, whoever asks."""

from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rolecall_agent.http.known_heads import LONGEST_KNOWN, MOST_KNOWN, KnownHeads
from rolecall_agent.http.request import LONGEST_HEAD, Request, parse
from rolecall_agent.metadata import routes

PATH = b"/latest/meta-data/iam/security-credentials/reader"
HOST = b"Host: 169.254.169.254"
NAME = b"x-aws-ec2-metadata-token"
TOKEN, OTHER = b"A" * 56, b"b" * 56
# Fields that change what is read of a head, or look as if they did.
FIELDS = (
    HOST,
    b"User-Agent: a?b HTTP/1.1",
    b"Host: 10.0.0.1?b HTTP/1.1",
    NAME + b": " + TOKEN,
    b"X-Aws-Ec2-Metadata-Token: " + OTHER,
    b"X-aws-ec2-metadata-token: " + TOKEN,
    b"X-AWS-EC2-METADATA-TOKEN: " + TOKEN,
    NAME + b":" + TOKEN,
    NAME + b": ",
    NAME + b": \0",
    NAME + b": short",
    b"not-x-aws-ec2-metadata-token: " + OTHER,
    b" " + NAME + b": " + OTHER,
    b"X-aws-ec2-metadata-token-ttl-seconds: 60?b HTTP/1.1",
    b"X-aws-ec2-metadata-token-ttl-seconds: 60",
    b"X-Forwarded-For: 10.0.0.1",
    b"Authorization: token",
    b"Connection: close",
    b"Content-Length: 0",
    b"Content-Length: 1",
    b"Transfer-Encoding: chunked",
)
LINES = (
    b"GET " + PATH + b" HTTP/1.1",
    b"GET " + PATH + b"?n=1 HTTP/1.1",
    b"GET " + PATH + b"?n=2?3 HTTP/1.1",
    b"GET " + PATH + b"? HTTP/1.1",
    b"GET " + PATH + b"?a b HTTP/1.1",
    b"GET " + PATH + b"?a#b HTTP/1.1",
    b"HEAD " + PATH + b"?a HTTP/1.0",
    b"PUT /latest/api/token?a HTTP/1.1",
    b"FETCH /?a HTTP/1.1",
    b"GE?T / HTTP/1.1",
    b"GET? / HTTP/1.1",
    b"GET /?a HTTP/1.2",
    b"?a HTTP/1.1",
    b"GET ?a HTTP/1.1",
    b"GET  /?a HTTP/1.1",
)


def head(line: bytes = LINES[0], *fields: bytes) -> bytes:
    return b"\r\n".join([line, *fields, b"", b""])


def expected(text: bytes) -> tuple[Request, object] | None:
    request = parse(text)
    return None if request is None else (request, routes.find(request.path))


def agrees(heads: KnownHeads, text: bytes) -> bool:
    """Whether *heads* reads what `parse` does. Of several tokens, all wrong, only their number."""
    read, other = heads.read(text), expected(text)
    if read is not None and other is not None and len(other[0].tokens) > 1:
        return len(read[0].tokens) == len(other[0].tokens) and read[1] == other[1]
    return read == other


_heads = st.builds(
    lambda line, fields: head(line, *fields),
    st.sampled_from(LINES),
    st.lists(st.sampled_from(FIELDS), max_size=5),
)


@given(st.lists(_heads, max_size=8))
@example([head(LINES[0], HOST, NAME + b": "), head(LINES[0], HOST, NAME + b": " + TOKEN)])
@example([head(LINES[0], HOST, NAME + b": " + TOKEN), head(LINES[0], HOST, NAME + b": ")])
def test_heads_are_read_as_if_no_other_had_been(texts: list[bytes]) -> None:
    """In whatever order they come, and the second time as the first."""
    heads = KnownHeads(routes.find)

    assert all(agrees(heads, text) for text in (*texts, *texts))


@pytest.mark.parametrize("byte", range(256))
def test_a_query_is_ignored_and_its_bytes_are_not(byte: int) -> None:
    """It may hold what a path may; behind a head that is known nothing else gets by."""
    heads = KnownHeads(routes.find)
    heads.read(head(LINES[0], HOST))

    assert agrees(heads, head(b"GET " + PATH + b"?" + bytes([byte]) + b" HTTP/1.1", HOST))


def test_what_differs_in_query_and_token_alone_is_parsed_once() -> None:
    """It is what an SDK sends, of every pod that uses it."""
    heads = KnownHeads(routes.find)
    reads = [
        heads.read(head(b"GET " + PATH + b"?n=%d HTTP/1.1" % number, HOST, NAME + b": " + token))
        for number, token in enumerate((TOKEN, OTHER, TOKEN))
    ]

    assert heads.parsed == 1
    assert [read[0].tokens for read in reads if read] == [(TOKEN,), (OTHER,), (TOKEN,)]


@pytest.mark.parametrize(
    "field", [b"Authorization: secret", NAME + b":" + TOKEN, NAME + b": no-token"]
)
def test_what_only_one_pod_can_have_sent_is_not_kept(field: bytes) -> None:
    """A secret stays no longer than its request."""
    heads = KnownHeads(routes.find)
    heads.read(head(LINES[0], HOST, field))

    assert len(heads) == 0


def test_a_pod_that_sends_ever_new_heads_has_few_of_them_kept() -> None:
    """It has those of others parsed again, and nothing more."""
    heads = KnownHeads(routes.find)
    for number in range(10 * MOST_KNOWN):
        heads.read(head(b"GET /%d HTTP/1.1" % number, HOST))

    assert 0 < len(heads) <= MOST_KNOWN
    assert agrees(heads, head(LINES[0], HOST))


def test_a_long_head_is_not_kept() -> None:
    """No SDK sends one."""
    heads = KnownHeads(routes.find)
    heads.read(head(LINES[0], HOST, b"A: " + b"a" * LONGEST_KNOWN))

    assert len(heads) == 0


def test_a_head_that_is_too_long_with_its_query_is_refused() -> None:
    """Though without it its head is known."""
    heads = KnownHeads(routes.find)
    heads.read(head(LINES[0], HOST))
    sizes: Iterable[int] = (LONGEST_HEAD, LONGEST_HEAD + 1)
    rest = len(head(LINES[1], HOST)) - len(b"n=1")
    found = [
        heads.read(head(b"GET " + PATH + b"?" + b"n" * (size - rest) + b" HTTP/1.1", HOST))
        for size in sizes
    ]

    assert [read is not None for read in found] == [True, False]
