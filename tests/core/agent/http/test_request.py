"""Reading one head: totally, strictly, and no earlier than it can be told."""

import pickle
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_agent.decision import Route, Target
from rolecall_agent.http.framing import HOPELESS, Framing
from rolecall_agent.http.request import LONGEST_HEAD, ReceivedRequest, is_hopeless, parse

HEAD = b"GET /latest HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n"


def heads_of(data: bytes, framing: Framing | None = None) -> list[bytes]:
    """Return every head that *framing* gives after *data*."""
    framing = framing or Framing()
    framing.feed(data)
    return list(iter(framing.take, None))


def test_a_request_is_what_the_endpoint_looks_at() -> None:
    """The query is dropped, values are trimmed, names have no case."""
    request = parse(
        b"PUT /latest/api/token?x HTTP/1.1\r\nhOST:  Metadata \r\n"
        b"X-AWS-EC2-Metadata-Token-TTL-Seconds: 60\r\nX-Forwarded-For: a\r\n"
        b"x-aws-ec2-metadata-token:\r\nConnection: x, CLOSE\r\n\r\n"
    )

    assert request is not None
    assert (request.method, request.path, request.host) == (
        b"PUT",
        b"/latest/api/token",
        b"metadata",
    )
    assert (request.ttl, request.tokens, request.forwarded) == (b"60", (b"",), True)
    assert not request.keep_alive


@given(st.binary(max_size=300))
def test_every_head_is_read_without_an_error(junk: bytes) -> None:
    """Whatever stands in the place of a request, a header or a value."""
    parse(junk)
    parse(junk + b"\r\n\r\n")
    parse(b"GET " + junk + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    parse(b"GET /x HTTP/1.1\r\n" + junk + b"\r\n\r\n")
    parse(b"GET /x HTTP/1.1\r\nHost: " + junk + b"\r\n\r\n")


@given(st.lists(st.integers(1, 60), max_size=12))
def test_pieces_make_the_same_heads_as_the_whole(cuts: list[int]) -> None:
    """Where TCP cuts makes no difference."""
    text, framing, heads = HEAD * 3, Framing(), []
    for cut in cuts:
        heads += heads_of(text[:cut], framing)
        text = text[cut:]
    heads += heads_of(text, framing)

    assert heads == [HEAD] * 3
    assert framing.is_empty


@given(st.text(alphabet="G\r\n", max_size=40).map(str.encode), st.integers(0, 40))
def test_the_next_head_can_be_seen_before_it_is_taken(junk: bytes, cut: int) -> None:
    """However often, and in however many pieces it comes."""
    framing = Framing()
    for piece in (junk[:cut], junk[cut:]):
        framing.feed(piece)
        while framing.has_unseen:
            seen = framing.peek(), framing.peek()
            taken = framing.take() or b""

            assert seen == (taken, taken)


def test_a_head_that_is_too_long_is_not_seen_before() -> None:
    """It can only be refused, whoever has sent it."""
    long = HEAD[:-2] + b"A: " + b"a" * (LONGEST_HEAD - len(HEAD) - 5) + b"\r\n\r\n"
    framing, too_long = Framing(), Framing()
    framing.feed(long)
    too_long.feed(long.replace(b"A: ", b"A: a"))

    assert len(long) == LONGEST_HEAD
    assert framing.peek() == long
    assert too_long.peek() == b""


def test_what_is_not_taken_stays() -> None:
    """It is there when it is asked for, and what comes then is behind it."""
    framing = Framing()
    framing.feed(HEAD * 2 + HEAD[:9])
    first = framing.take()
    before = framing.has_unseen, framing.is_empty
    rest = heads_of(HEAD[9:], framing)

    assert first == HEAD
    assert before == (True, False)
    assert rest == [HEAD] * 2
    assert (framing.has_unseen, framing.is_empty) == (False, True)


def test_hope_ends_as_soon_as_it_can_be_told() -> None:
    """Nobody waits five seconds for the rest of a head that can only be wrong."""
    assert heads_of(b"GET /x HTTP/1.1\n") == [HOPELESS]
    assert heads_of(b"GET /x\r\n") == [HOPELESS]
    assert heads_of(b"x" * LONGEST_HEAD) == [HOPELESS]
    assert heads_of(HEAD + b"\x16\x03\x01\n") == [HEAD, HOPELESS]


@given(st.text(alphabet="G /x.1HTP\r\n:", max_size=40).map(str.encode), st.integers(0, 40))
def test_what_was_looked_at_is_not_looked_at_again(junk: bytes, cut: int) -> None:
    """The rest tells as much as the whole does, wherever the first look ended."""
    text = b"GET / HTTP/1.1\r\n"[:cut] + junk
    seen = min(cut, len(text))

    assert is_hopeless(text[:seen]) or is_hopeless(text, seen) == is_hopeless(text)


def test_a_head_that_is_not_whole_is_looked_at_once_a_read() -> None:
    """Until more of it has come there is nothing to look at, however long it is."""
    framing = Framing()
    framing.feed(HEAD + HEAD[:20])
    begun = framing.has_unseen
    heads = [framing.take(), framing.take()]
    left = framing.has_unseen
    framing.feed(HEAD[20:21])

    assert (begun, heads, left, framing.has_unseen) == (True, [HEAD, None], False, True)


def test_hope_remains_while_it_can_become_a_head() -> None:
    """Between a carriage return and its line feed too."""
    for end in range(1, len(HEAD)):
        assert heads_of(HEAD[:end]) == []


def test_no_token_of_a_request_can_be_printed() -> None:
    """Neither of what was read of it nor of the head that it was read from."""
    head = (
        b"GET / HTTP/1.1\r\nHost: 169.254.169.254\r\nAuthorization: a-canary\r\n"
        b"X-aws-ec2-metadata-token: a-canary\r\n\r\n"
    )
    request = parse(head)
    assert request is not None
    peer = ip_address("10.0.0.1")
    received = ReceivedRequest(request, Target(Route.OTHER), head, peer, "10.0.0.1", 0.0)

    assert "canary" not in f"{request!r}{received!r}"
    with pytest.raises(TypeError):
        pickle.dumps(received)
