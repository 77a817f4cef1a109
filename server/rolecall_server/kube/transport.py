"""HTTP to the API server, by the client of the `kubernetes` package: bytes in, bytes out."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from datetime import timedelta
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config.config_exception import ConfigException

from rolecall_common.version import VERSION
from rolecall_server.kube.access import AccessError, Configure
from rolecall_server.kube.api import (
    NO_QUERY,
    ApiError,
    Query,
    RejectedError,
    UnavailableError,
    error_of,
)
from rolecall_server.kube.lines import Lines, LineTooLongError

log = logging.getLogger(__name__)

_CONNECT = 5.0  # seconds
_ANSWER = aiohttp.ClientTimeout(total=30, sock_connect=_CONNECT)
# An API server sends a bookmark about once a minute; twice without one, and some more, is silence.
SILENCE = timedelta(seconds=150)
# A peer that is gone without a word is noticed after 15 + 3 x 5 seconds.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
_MOST_TOLD = 300  # characters of an answer that go into an error
_UNAUTHORIZED = 401
# Whatever stands between may ask for hours; the API server itself asks for seconds.
_LONGEST_ASKED = timedelta(seconds=30)


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
        self._client: _Client | None = None
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

    async def _current(self) -> "_Client":
        async with self._reading:  # Two that need it read it once.
            if self._client is None:
                try:
                    self._client = _Client(await self._configure())
                except (AccessError, ssl.SSLError, OSError) as error:
                    raise UnavailableError(f"{error}") from error
            return self._client

    async def _forget(self, client: "_Client") -> None:
        if self._client is client:
            self._client = None
            await client.retire()


class _Client:
    """One configuration's connections; closed when it is retired and nobody uses it any more."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._rest: Any = _Rest(configuration)  # The package is not typed here.
        self._uses = 0
        self._is_retired = False

    @contextlib.asynccontextmanager
    async def request(
        self, method: str, path: str, query: Query, body: object, limits: aiohttp.ClientTimeout
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        self._uses += 1
        try:
            answer = await self._sent(method, path, query, body, limits)
            async with answer.response as response:
                yield response
        finally:
            self._uses -= 1
            await self._close_unused()

    async def _sent(
        self, method: str, path: str, query: Query, body: object, limits: aiohttp.ClientTimeout
    ) -> Any:  # noqa: ANN401 - The package is not typed here.
        url = f"{self._configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            headers = await self._headers(method)
            return await self._rest.request(method, url, headers, body, _request_timeout=limits)
        except aiohttp.ClientError:
            raise  # One of a certificate is a ValueError, too.
        except ValueError as error:
            # A token that cannot stand in a header, or a redirect to a host that can be none.
            raise UnavailableError(f"no request can be made: {error}") from error

    async def retire(self) -> None:
        self._is_retired = True
        await self._close_unused()

    async def _close_unused(self) -> None:
        if self._is_retired and self._uses == 0:
            await self._rest.close()

    async def _headers(self, method: str) -> dict[str, str]:
        patch = "application/merge-patch+json"
        headers = {
            # Some user agents are sent indented JSON, half as long again.
            "User-Agent": f"rolecall-server/{VERSION}",
            # Not more than that: the keys of tokens are refused to whoever wants plain JSON.
            "Accept": "*/*",
            "Accept-Encoding": "gzip",
            "Content-Type": patch if method == "PATCH" else "application/json",
        }
        # The token's file is read again once a minute, here.
        settings: dict[str, Any] = dict(await self._configuration.auth_settings())
        for auth in settings.values():
            headers[auth["key"]] = auth["value"].strip()
        return headers


class _Rest(RESTClientObject):
    """The package's client, whose connections notice a peer that is gone without a word."""

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            limit=self.maxsize, ssl=self.ssl_context, socket_factory=_patient_socket
        )


def _patient_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    for level, option, value in _KEEPALIVE:
        made.setsockopt(level, option, value)
    return made


async def _lines(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    lines = Lines()
    with _translated():
        async for chunk in response.content.iter_any():
            for line in lines.feed(chunk):
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
    except LineTooLongError as error:
        raise UnavailableError(str(error)) from error
