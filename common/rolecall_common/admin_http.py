"""Health and metrics: a plain HTTP port of its own, not one that pods have to ask.

They reach it all the same, so what it costs is bounded: by `connection_limits.py`, and by keeping
the page that is dear.

Three constant paths, one answer to a connection: that much is written here, because a web framework
would be a fifth of the agent's memory.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition

from rolecall_common.callbacks import Reporting, reports_os_errors
from rolecall_common.connection_limits import ConnectionLimits
from rolecall_common.settings.types import HostPort

_LONGEST_HEAD = 8 * 1024
# For a request to come and its answer to leave: a kubelet's probe takes one packet each.
_PATIENCE = timedelta(seconds=5)
# Seconds. Scrapers come every some of them; a scrape costs as much as fifty answers to pods.
_KEPT = 1.0
_OPEN_METRICS = "application/openmetrics-text"
_PLAIN_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a process can do its work, and a line for each thing that a person should know."""

    ready: bool
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """What a path answers with."""

    body: bytes
    status: str = "200 OK"
    content_type: str = _TEXT


class Pages:
    """The answers, as of now; but for metrics, which are computed once a second of *time*."""

    def __init__(
        self,
        readiness: Callable[[], Readiness],
        registry: CollectorRegistry,
        time: Callable[[], float],
    ) -> None:
        self._readiness = readiness
        self._registry = registry
        self._time = time
        self._kept: dict[bool, tuple[float, Page]] = {}

    def page(self, method: str, path: str, accept: str) -> Page:
        """Return what *path* says now. /healthz says that the loop turns, and asks nobody else."""
        if method not in ("GET", "HEAD"):
            return Page(b"method not allowed\n", "405 Method Not Allowed")
        match path.partition("?")[0]:
            case "/healthz":
                return Page(b"ok\n")
            case "/readyz":
                return self._readyz()
            case "/metrics":
                return self._metrics(accept)
            case _:
                return Page(b"not found\n", "404 Not Found")

    def _metrics(self, accept: str) -> Page:
        is_open = _OPEN_METRICS in {kind.partition(";")[0].strip() for kind in accept.split(",")}
        now = self._time()
        made, page = self._kept.get(is_open, (-_KEPT, None))
        if page is None or now - made >= _KEPT:
            page = self._rendered(is_open=is_open)
            self._kept[is_open] = now, page
        return page

    def _rendered(self, *, is_open: bool) -> Page:
        # The client library's own choice raises on a version that is none, and repeats it else.
        if is_open:
            body = exposition.generate_latest(self._registry)  # type: ignore[no-untyped-call]  # it has no types
            return Page(body, content_type=exposition.CONTENT_TYPE_LATEST)
        return Page(generate_latest(self._registry), content_type=_PLAIN_METRICS)

    def _readyz(self) -> Page:
        now = self._readiness()
        lines = ("ready" if now.ready else "not ready", *now.lines)
        status = "200 OK" if now.ready else "503 Service Unavailable"
        return Page("".join(f"{line}\n" for line in lines).encode(), status)


class _Exchange(asyncio.Protocol):
    """One request and its answer; then the connection is closed."""

    def __init__(self, pages: Pages, patience: timedelta, limits: ConnectionLimits) -> None:
        self._pages = pages
        self._patience = patience.total_seconds()
        self._limits = limits
        self._address = ""
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._timer = asyncio.get_running_loop().call_later(self._patience, self.abort)
        peer = transport.get_extra_info("peername")
        if peer is None:  # Gone already.
            self.abort()
            return
        self._address = peer[0]
        is_own = self._address == transport.get_extra_info("sockname")[0]
        if not self._limits.admit(self, self._address, is_own=is_own):
            self.abort()

    @reports_os_errors
    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._head += data
        if b"\r\n\r\n" in self._head or len(self._head) > _LONGEST_HEAD:
            self._answer()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._timer.cancel()
        self._limits.release(self, self._address)

    def abort(self) -> None:
        self._transport.abort()

    def _answer(self) -> None:
        first, *fields = self._head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or len(self._head) > _LONGEST_HEAD:  # noqa: PLR2004 - method, path, version
            method, page = "", Page(b"bad request\n", "400 Bad Request")
        else:
            method, path, _ = words
            page = self._pages.page(method, path, _field(fields, "accept"))
        head = (
            f"HTTP/1.1 {page.status}\r\nContent-Type: {page.content_type}\r\n"
            f"Content-Length: {len(page.body)}\r\nConnection: close\r\n\r\n"
        )
        self._transport.write(head.encode("latin-1") + (b"" if method == "HEAD" else page.body))
        self._transport.close()


def _field(fields: list[str], name: str) -> str:
    named = (field.partition(":") for field in fields)
    return next((value.strip() for key, _, value in named if key.lower() == name), "")


@contextlib.asynccontextmanager
async def serving_admin(
    listen: HostPort,
    readiness: Callable[[], Readiness],
    registry: CollectorRegistry,
    patience: timedelta = _PATIENCE,
) -> AsyncGenerator[int]:
    """Serve /healthz, /readyz and /metrics while the block runs; yield the port.

    A connection that is older than *patience* is cut. Raises OSError where *listen* cannot be had.
    """
    loop = asyncio.get_running_loop()
    pages, limits = Pages(readiness, registry, loop.time), ConnectionLimits()

    @Reporting()
    def exchange() -> _Exchange:
        return _Exchange(pages, patience, limits)

    server = await loop.create_server(exchange, listen.host, listen.port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for each in tuple(limits):
            each.abort()
