"""The least that Python can do: a bare protocol that parses heads and answers the same bytes.

What the agent takes beyond it is its own. `python -m bench.bare PORT FILE` serves the file.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import cast

import httptools
import uvloop

from bench.nginx import free_port, listens
from bench.processes import Running, python, running, until


class Bare(asyncio.Protocol):
    """Answers each head with *response*."""

    def __init__(self, response: bytes) -> None:
        self._response = response
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(self._response)


async def _serve(port: int, body: bytes) -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Bare(response), "127.0.0.1", port)
    await server.serve_forever()


@contextlib.asynccontextmanager
async def bare(body: str, *, core: int, directory: Path) -> AsyncGenerator[tuple[str, Running]]:
    """Serve *body* on every path; the block gets the address and the process."""
    port, file = free_port(), directory / "bare.body"
    file.write_text(body)
    command = python("bench.bare", str(port), str(file))
    async with running("bare", command, core=core, directory=directory) as process:
        await until(lambda: listens(port), "the bare protocol's start")
        yield f"http://127.0.0.1:{port}", process


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
