"""Carries one request to STS and its answer back: pooled, timed, and of bounded size."""

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import aiohttp
from yarl import URL

from rolecall_common.secret import NotPickled
from rolecall_server.sts.endpoint import Endpoint
from rolecall_server.sts.error_codes import CallError, CallOutcome

# AWS promises no greatest size of a token; tokens of 4 KiB exist, and an answer holds one.
MOST_BYTES = 64 * 1024

_CONNECT_SECONDS = 3

# A burst of new pods finds the connections of the last one still there. AWS does not say when it
# closes idle ones; one that it closes leaves the pool at once.
_KEEP_IDLE_SECONDS = 30

# Nothing compressed is asked for, and nothing is unpacked: no small answer becomes a big one.
_HEADERS = {"User-Agent": "rolecall", "Accept": "*/*", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Reply(NotPickled):
    """What came back, whatever it was."""

    status: int
    body: bytes = field(repr=False)  # An issued session is in it.
    date: str


class Transport:
    """Posts to one endpoint."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._session = session
        self._url = URL(endpoint.url)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send *body* and return the answer. Raises CallError; redirects are not followed."""
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers=headers,
                allow_redirects=False,
                proxy=self.endpoint.proxy,
            ) as response:
                return Reply(
                    response.status, await _read(response), response.headers.get("Date", "")
                )
        except TimeoutError as error:
            raise CallError(CallOutcome.TIMEOUT, "STS did not answer in time") from error
        except aiohttp.ClientResponseError as error:
            # Not chained: this one carries the request's headers, and the session token in them.
            raise CallError(
                CallOutcome.NETWORK, f"no HTTP answer: {_one_line(error.message)}"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise CallError(
                CallOutcome.NETWORK, f"STS: {type(error).__name__}: {_one_line(str(error))}"
            ) from error


@asynccontextmanager
async def open_transport(
    endpoint: Endpoint, tls: ssl.SSLContext, concurrency: int, patience: timedelta
) -> AsyncGenerator[Transport]:
    """Hold a pool of up to *concurrency* connections; each call ends within *patience*."""
    connector = aiohttp.TCPConnector(
        limit=concurrency, ssl=tls, keepalive_timeout=_KEEP_IDLE_SECONDS, ttl_dns_cache=60
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(patience.total_seconds(), sock_connect=_CONNECT_SECONDS),
        headers=_HEADERS,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    ) as session:
        yield Transport(session, endpoint)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if response.content_length is not None and response.content_length <= MOST_BYTES:
        return await response.read()
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            raise CallError(CallOutcome.MALFORMED, f"an answer of more than {MOST_BYTES} bytes")
    return bytes(body)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
