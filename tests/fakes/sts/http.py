"""As much of an HTTP/1.1 server as the fake needs, so that it is faster than those who call it."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

import httptools

from fakes.sts.faults import BODY_CUT, HEAD_CUT, Cut
from fakes.sts.signature import Request

Receive = Callable[[Request, "Connection"], None]


class Connection(asyncio.Protocol):
    """One client's connection: each whole request goes to *receive*, which replies or cuts."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = b""
        self._doubled = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the protocol's)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        text = name.decode("latin-1").lower()
        self._doubled |= text in self._headers
        self._headers[text] = value.decode("latin-1")

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        target = urlsplit(self._target.decode("latin-1"))
        method = self._parser.get_method().decode()
        request = Request(
            method, target.path, target.query, self._headers, self._body, self._doubled
        )
        self._begin()
        self._receive(request, self)

    def reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Answer in one write; nothing happens where the client has gone."""
        if self._transport is None:
            return
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} {_phrase(status)}\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode("latin-1") + body)

    def cut(self, fault: Cut) -> None:
        """End the connection where *fault* says."""
        if self._transport is None:
            return
        if fault in (HEAD_CUT, BODY_CUT):
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n")
        if fault is BODY_CUT:
            half = b"<AssumeRoleResponse><AssumeRoleResult>"
            self._transport.write(b"Content-Length: 1500\r\n\r\n" + half)
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _phrase(status: int) -> str:
    return "OK" if status == 200 else HTTPStatus(status).phrase
