"""Health and metrics over a real socket, asked by a real client."""

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from datetime import timedelta

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from rolecall_common.admin_http import Pages, Readiness, serving_admin
from rolecall_common.connection_limits import MOST_OF_ONE
from rolecall_common.metrics import Gauge, Kind, Metric, register
from rolecall_common.settings.types import HostPort

ANYWHERE = HostPort("127.0.0.1", 0)
OPEN = "application/openmetrics-text"
PODS = Metric("rolecall_pods", Kind.GAUGE, "Pods.")


class Process:
    """What is asked: a readiness that a test can change, and where to ask for it."""

    def __init__(self) -> None:
        self.ready = Readiness(ready=True)
        self.port = 0

    async def ask(self, method: str, path: str, **headers: str) -> tuple[int, str, str]:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with (
            aiohttp.ClientSession() as client,
            client.request(method, url, headers=headers) as answer,
        ):
            return answer.status, answer.headers["Content-Type"], await answer.text()

    async def send(self, data: bytes) -> bytes:
        """Send *data* as it is, and return all that comes back until the connection ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            return await reader.read()
        finally:
            writer.close()


@pytest.fixture
async def process() -> AsyncGenerator[Process]:
    one, registry = Process(), CollectorRegistry()
    register(registry, [Gauge(PODS, lambda: 3)])
    async with serving_admin(ANYWHERE, lambda: one.ready, registry) as one.port:
        yield one


async def test_alive_depends_on_nobody(process: Process) -> None:
    """The loop turns: that is all, ready or not."""
    process.ready = Readiness(ready=False)

    assert await process.ask("GET", "/healthz") == (200, "text/plain; charset=utf-8", "ok\n")


async def test_ready_is_asked_each_time_and_says_why(process: Process) -> None:
    """Degraded is a line, not a reason to leave."""
    process.ready = Readiness(ready=True, lines=("no server is connected",))
    assert (await process.ask("GET", "/readyz"))[::2] == (200, "ready\nno server is connected\n")

    process.ready = Readiness(ready=False, lines=("not synced yet",))
    assert (await process.ask("GET", "/readyz"))[::2] == (503, "not ready\nnot synced yet\n")


async def test_metrics_are_parsed_in_either_format(process: Process) -> None:
    """What a scraper asks for by Accept is what it gets."""
    _, plain_type, text = await process.ask("GET", "/metrics")
    _, open_type, open_text = await process.ask(
        "GET", "/metrics", Accept="application/openmetrics-text; version=1.0.0"
    )

    assert plain_type.startswith("text/plain")
    assert [sample.value for family in plain(text) for sample in family.samples] == [3]
    assert open_type.startswith("application/openmetrics-text")
    assert [sample.value for family in openmetrics(open_text) for sample in family.samples] == [3]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "text/plain"),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain"),
        (OPEN, OPEN),
        (f"{OPEN};version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.4", OPEN),
        (f"{OPEN}; version=none", OPEN),
        ("text/plain; version=x", "text/plain"),
        ("\x01;;=,;version", "text/plain"),
    ],
)
async def test_no_accept_header_is_too_odd(process: Process, accept: str, kind: str) -> None:
    """What cannot be understood is not repeated, and costs nobody the answer."""
    request = f"GET /metrics HTTP/1.1\r\nHost: x\r\nACCEPT : no\r\naccept: {accept}\r\n\r\n"
    head, _, body = (await process.send(request.encode())).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"\r\nContent-Type: {kind}; version=".encode() in head
    assert b"rolecall_pods 3.0" in body


@given(st.text())
def test_no_text_makes_the_pages_raise(text: str) -> None:
    """Whatever is sent as method, path or Accept, there is an answer."""
    pages = Pages(lambda: Readiness(ready=True), CollectorRegistry(), lambda: 0.0)

    for page in (
        pages.page(text, "/metrics", ""),
        pages.page("GET", text, ""),
        pages.page("GET", "/metrics", text),
        pages.page("GET", "/metrics", f"application/openmetrics-text;{text}"),
    ):
        assert page.status.startswith(("200", "404", "405"))
        assert page.content_type.isprintable()


async def test_a_page_that_breaks_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in one gauge is logged, and the process is still alive to those who ask."""

    def broken() -> Readiness:
        raise ZeroDivisionError("nobody foresaw this")

    process = Process()
    async with serving_admin(ANYWHERE, broken, CollectorRegistry()) as process.port:
        assert await process.send(b"GET /readyz HTTP/1.1\r\n\r\n") == b""
        assert (await process.ask("GET", "/healthz"))[0] == 200

    assert "nobody foresaw this" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/latest/meta-data/", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/healthz", 405),
        ("GET", "/readyz?verbose", 200),
    ],
)
async def test_nothing_else_is_there(process: Process, method: str, path: str, status: int) -> None:
    """Three pages, and no endpoint."""
    assert (await process.ask(method, path))[0] == status


async def test_head_is_an_answer_without_its_body(process: Process) -> None:
    """The length is that of the body that GET would have."""
    answer = await process.send(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

    assert b"Content-Length: 3\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"GET\r\n\r\n",
        b"\r\n\r\n",
        b"\0\xff\r\n\r\n",
        b"GET /healthz HTTP/1.1 x\r\n\r\n",
        b"x" * 9000,
    ],
    ids=["one-word", "nothing", "noise", "four-words", "endless"],
)
async def test_what_is_no_request_is_refused(process: Process, data: bytes) -> None:
    """And the next one is answered."""
    assert (await process.send(data)).startswith(b"HTTP/1.1 400 ")
    assert (await process.ask("GET", "/healthz"))[0] == 200


async def test_a_request_in_pieces_is_one_request(process: Process) -> None:
    """TCP keeps no boundaries."""
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    for piece in (b"GET /hea", b"lthz HTTP/1.1\r\n", b"Host: x\r\n\r", b"\n"):
        writer.write(piece)
        await writer.drain()

    assert (await reader.read()).endswith(b"\r\n\r\nok\n")
    writer.close()


@pytest.mark.parametrize("start", [b"", b"GET /healthz HTTP/1.1\r\n", b"GET /healthz\n\n"])
async def test_a_client_that_is_too_slow_is_cut(start: bytes) -> None:
    """Nobody keeps a connection by saying nothing, or half of it, or no line that HTTP knows."""
    ready, patience = Readiness(ready=True), timedelta(milliseconds=20)
    async with serving_admin(ANYWHERE, lambda: ready, CollectorRegistry(), patience) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(start)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


async def test_a_client_that_half_closes_gets_its_answer(process: Process) -> None:
    """Some tools send their request and an end at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
    writer.write_eof()

    assert (await reader.read()).endswith(b"ok\n")
    writer.close()


async def test_a_second_request_is_not_answered(process: Process) -> None:
    """The answer says so: the connection closes."""
    answer = await process.send(b"GET /healthz HTTP/1.1\r\n\r\nGET /readyz HTTP/1.1\r\n\r\n")

    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"\r\nConnection: close\r\n" in answer


async def connected(process: Process, source: str) -> tuple[StreamReader, StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", process.port, local_addr=(source, 0))


async def healthy(reader: StreamReader, writer: StreamWriter) -> bool:
    """Ask on a connection that is open, or was; return whether there is an answer."""
    writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
    try:
        return (await reader.read()).endswith(b"ok\n")
    except ConnectionError:
        return False
    finally:
        writer.close()


async def test_many_that_say_nothing_do_not_keep_one_from_its_answer(process: Process) -> None:
    """Neither another address nor the node's own is kept out, whoever holds what there is."""
    sources = [f"127.0.{number}.9" for number in range(20)]
    silent = [await connected(process, each) for each in sources for _ in range(10)]
    silent += [await connected(process, "127.0.0.1") for _ in range(20)]

    assert await healthy(*await connected(process, "127.0.99.9"))
    assert (await process.ask("GET", "/readyz"))[0] == 200
    for _, writer in silent:
        writer.close()


async def test_one_address_keeps_a_few_connections(process: Process) -> None:
    """What is over them is dropped at once, and not when its time has come."""
    open_ones = [await connected(process, "127.0.0.2") for _ in range(MOST_OF_ONE + 2)]

    assert [await healthy(*each) for each in open_ones] == [True] * MOST_OF_ONE + [False] * 2


async def test_metrics_are_kept_for_a_second() -> None:
    """However often they are scraped they cost the same; readiness is as it is now."""
    moment, levels, lines = 0.0, iter(range(9)), iter("ab")
    registry = CollectorRegistry()
    register(registry, [Gauge(PODS, lambda: next(levels))])
    pages = Pages(lambda: Readiness(ready=True, lines=(next(lines),)), registry, lambda: moment)

    def said(accept: str = "") -> bytes:
        return pages.page("GET", "/metrics", accept).body.splitlines()[2]

    first = [said(), said(), said(OPEN), said(OPEN)]
    moment = 0.99
    kept = [said(), said(OPEN)]
    moment = 1.0
    anew = [said(), said(OPEN)]

    assert first == [b"rolecall_pods 0.0"] * 2 + [b"rolecall_pods 1.0"] * 2
    assert kept == [b"rolecall_pods 0.0", b"rolecall_pods 1.0"]
    assert anew == [b"rolecall_pods 2.0", b"rolecall_pods 3.0"]
    assert pages.page("GET", "/readyz", "").body == b"ready\na\n"
    assert pages.page("GET", "/readyz", "").body == b"ready\nb\n"


async def test_a_client_that_says_nothing_does_not_keep_the_process_from_ending() -> None:
    """Its connection ends with the block."""
    async with serving_admin(ANYWHERE, lambda: Readiness(ready=True), CollectorRegistry()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz")
        await writer.drain()

    with contextlib.suppress(ConnectionResetError):  # The abrupt end will do as well.
        assert await reader.read() == b""
    writer.close()


async def test_a_port_that_is_taken_is_said() -> None:
    """Two processes with the same setting: the second one does not start."""
    ready = Readiness(ready=True)
    async with serving_admin(ANYWHERE, lambda: ready, CollectorRegistry()) as port:
        with pytest.raises(OSError, match="in use"):
            async with serving_admin(
                HostPort("127.0.0.1", port), lambda: ready, CollectorRegistry()
            ):
                pass
