"""Reads single items of the node's real metadata service, as a client of IMDSv2.

A few lines over a socket, because an HTTP client would be a seventh of the agent's memory: 7.6 MB
for aiohttp's, measured. What is sent is made here: nothing of a pod's request is in it.
"""

import asyncio
import re
from datetime import datetime, timedelta

import httptools

from rolecall_agent.decision import Item
from rolecall_common.clock import Clock
from rolecall_common.secret import Secret
from rolecall_common.settings.types import HostPort

TIMEOUT = 2.0  # seconds for one item, its token included
_HTTP_PORT = 80
_TOKEN_LIFE = timedelta(hours=6)  # The longest that EC2 gives.
_RENEW_BEFORE = timedelta(minutes=5)
_LONGEST_ANSWER = 32 * 1024  # bytes, head and all; an identity document has some 500
_TOKEN = re.compile(rb"[!-~]{1,1024}")
# What a value can be: a line, or a document of lines. It is a pod that will read it.
_VALUE = re.compile(rb"[\t\n\r -~]{1,16384}")
# Of 4xx, what is no word on the item: a token that it does not know, too slow, too many at once.
_NO_WORD = frozenset({401, 408, 429})


class RefusedError(Exception):
    """The service says no: it has no such item, or none for us."""


class UnavailableError(Exception):
    """No answer, or none that can be used. Asking again may help."""


class ImdsClient:
    """The metadata service at *address*, if any. Each question is a connection of its own."""

    def __init__(self, address: HostPort | None, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._token: tuple[Secret, datetime] | None = None

    async def read(self, item: Item) -> bytes:
        """Return the value of *item*.

        Raises: RefusedError, UnavailableError.
        """
        try:
            async with asyncio.timeout(TIMEOUT):
                value = await self._read(item)
        except TimeoutError:
            raise UnavailableError("it was silent") from None
        except OSError as error:
            raise UnavailableError(type(error).__name__) from error
        if _VALUE.fullmatch(value) is None:
            raise UnavailableError("what it says is no value of an item")
        return value

    async def _read(self, item: Item) -> bytes:
        status, value = await self._get(item)
        if status == 401:  # noqa: PLR2004 - a status as HTTP writes it
            self._token = None  # It has ended before its time; a new one is tried once.
            status, value = await self._get(item)
        return _checked(status, value)

    async def _get(self, item: Item) -> tuple[int, bytes]:
        token = await self._valid_token()
        field = f"X-aws-ec2-metadata-token: {token.reveal()}"
        return await self._exchange(f"GET /latest/{item}", field)

    async def _valid_token(self) -> Secret:
        now = self._clock.now()
        if self._token is None or self._token[1] <= now:
            seconds = _TOKEN_LIFE // timedelta(seconds=1)
            field = f"X-aws-ec2-metadata-token-ttl-seconds: {seconds}"
            text = _checked(*await self._exchange("PUT /latest/api/token", field))
            if _TOKEN.fullmatch(text) is None:
                raise UnavailableError("what it gives is no token")
            self._token = Secret(text.decode("ascii")), now + _TOKEN_LIFE - _RENEW_BEFORE
        return self._token[0]

    async def _exchange(self, what: str, field: str) -> tuple[int, bytes]:
        address = self._address
        if address is None:
            raise UnavailableError("there is none")
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            lines = (f"{what} HTTP/1.1", f"Host: {_host(address)}", field)
            length = ("Content-Length: 0",) if what.startswith("PUT") else ()
            head = "\r\n".join((*lines, *length, "Connection: close", "", ""))
            writer.write(head.encode("ascii"))
            return await _answer(reader)
        finally:
            writer.transport.abort()


def _host(address: HostPort) -> str:
    literal = f"[{address.host}]" if ":" in address.host else address.host
    return literal if address.port == _HTTP_PORT else str(address)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    reading, left = _Reading(), _LONGEST_ANSWER
    parser = httptools.HttpResponseParser(reading)
    while not reading.is_whole:
        data = await reader.read(left)
        left -= len(data)
        if not data or not left:
            raise UnavailableError("its answer is cut off" if left else "its answer is too long")
        try:
            parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            raise  # What was sent is not to blame: `_Reading` has failed.
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise UnavailableError("its answer is no HTTP") from error
    return parser.get_status_code(), reading.body


def _checked(status: int, body: bytes) -> bytes:
    match status // 100:
        case 2 if status == 200:  # noqa: PLR2004 - a status as HTTP writes it
            return body
        case 4 if status not in _NO_WORD:
            raise RefusedError(f"it answers {status}")
        case _:  # A redirect is followed by nobody.
            raise UnavailableError(f"it answers {status}")


class _Reading:
    """Collects what llhttp calls out."""

    def __init__(self) -> None:
        self.body = b""
        self.is_whole = False

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.is_whole = True
