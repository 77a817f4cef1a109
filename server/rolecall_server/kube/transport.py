"""HTTP to the API server: bytes in and bytes out, and every failure as one of `api`'s errors."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from datetime import timedelta
from types import TracebackType
from typing import Literal, Self

import aiohttp
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.config.config_exception import ConfigException

from rolecall_server.kube.access import AccessError, Configure
from rolecall_server.kube.api import (
    NO_QUERY,
    ApiError,
    Query,
    RejectedError,
    UnavailableError,
    error_of,
)
from rolecall_server.kube.client import Client

_CONNECT = 5.0  # seconds
_ANSWER = aiohttp.ClientTimeout(total=30, sock_connect=_CONNECT)
# An API server sends a bookmark about once a minute; twice without one, and some more, is silence.
SILENCE = timedelta(seconds=150)
_MOST_TOLD = 300  # characters of an answer that go into an error
_UNAUTHORIZED = 401
# Whatever stands between may ask for hours; the API server itself asks for seconds.
_LONGEST_ASKED = timedelta(seconds=30)
# An object has at most 1.5 MB in etcd unless told otherwise, and its JSON a small multiple of that.
LONGEST_LINE = 32 * 1024 * 1024  # bytes


class Transport:
    """One API server. `async with` closes its connections.

    What it is told of the server (address, authorities, token) is read anew where the server or
    its certificate is not accepted, so that a rotation needs no restart.
    """

    def __init__(self, configure: Configure, silence: timedelta = SILENCE) -> None:
        """Take a watch for dead that says nothing for *silence*."""
        self._configure = configure
        self._watching = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT, sock_read=silence.total_seconds()
        )
        self._client: Client | None = None
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.retire()

    async def get(self, path: str, query: Query = NO_QUERY) -> bytes:
        async with self._answer("GET", path, query, None, _ANSWER) as response:
            return await response.read()

    async def send(self, method: Literal["POST", "PATCH"], path: str, body: object) -> bytes:
        async with self._answer(method, path, NO_QUERY, body, _ANSWER) as response:
            return await response.read()

    @contextlib.asynccontextmanager
    async def watch(
        self, path: str, query: Query = NO_QUERY
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        async with self._answer("GET", path, query, None, self._watching) as response:
            yield _lines(response)

    @contextlib.asynccontextmanager
    async def _answer(
        self, method: str, path: str, query: Query, body: object, limits: aiohttp.ClientTimeout
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        client = await self._current()
        with _translated():
            try:
                async with client.request(method, path, query, body, limits) as response:
                    if not response.ok:
                        raise await _refusal(response)
                    yield response
            except aiohttp.ClientSSLError:
                await self._forget(client)
                raise
            except RejectedError as error:
                if error.status == _UNAUTHORIZED:
                    await self._forget(client)
                raise

    async def _current(self) -> Client:
        async with self._reading:  # Two that need it read it once.
            if self._client is None:
                try:
                    self._client = Client(await self._configure())
                except (AccessError, ssl.SSLError, OSError) as error:
                    raise UnavailableError(f"{error}") from error
            return self._client

    async def _forget(self, client: Client) -> None:
        if self._client is client:
            self._client = None
            await client.retire()


class LineSplitter:
    """Takes chunks in, gives whole lines out. A long line costs its length once, not squared."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that *chunk* ends, without empty ones. Raises UnavailableError."""
        first, *others = chunk.split(b"\n")
        self._keep(first)
        if not others:
            return []
        lines = [b"".join(self._parts), *others[:-1]]
        self._parts, self._size = [], 0
        self._keep(others[-1])
        return [line for line in lines if line]

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._longest:
            raise UnavailableError(f"a line of more than {self._longest} bytes")
        if part:
            self._parts.append(part)


async def _lines(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    splitter = LineSplitter()
    with _translated():
        async for chunk in response.content.iter_any():
            for line in splitter.feed(chunk):
                yield line


async def _refusal(response: aiohttp.ClientResponse) -> ApiError:
    status = response.status
    # Bounded: what answers may be no API server at all.
    told = (await response.content.read(_MOST_TOLD)).decode(errors="replace")
    return error_of(status, told, _retry_after(response))


def _retry_after(response: aiohttp.ClientResponse) -> timedelta | None:
    text = response.headers.get("Retry-After", "")
    if not (text.isascii() and text.isdigit() and len(text) < 5):  # noqa: PLR2004 - under 3 hours
        return None
    return min(timedelta(seconds=int(text)), _LONGEST_ASKED)


@contextlib.contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except TimeoutError as error:
        raise UnavailableError("no answer in time") from error
    except (aiohttp.ClientError, OSError, ApiException, ConfigException) as error:
        raise UnavailableError(f"{type(error).__name__}: {error}") from error
