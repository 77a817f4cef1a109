"""One configuration's connections to the API server, by the client of the `kubernetes` package."""

import contextlib
import socket
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from rolecall_common.version import VERSION
from rolecall_server.kube.api import Query, UnavailableError

# A peer that is gone without a word is noticed after 15 + 3 x 5 seconds.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


class Client:
    """One configuration's connections; closed when it is retired and nobody uses it any more."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._rest: Any = _RestClient(configuration)  # The package is not typed here.
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


class _RestClient(RESTClientObject):
    """The package's client, whose connections notice a peer that is gone without a word."""

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            limit=self.maxsize, ssl=self.ssl_context, socket_factory=_keepalive_socket
        )


def _keepalive_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    for level, option, value in _KEEPALIVE:
        made.setsockopt(level, option, value)
    return made
