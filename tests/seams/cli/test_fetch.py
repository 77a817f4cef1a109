"""How the demo and the lab ask the parts that they have started."""

import asyncio
from asyncio import StreamReader, StreamWriter

import pytest

from rolecall_cli.fetch import fetch


async def answered(status: str) -> tuple[int, str]:
    """Return what a server is heard to say that answers one request with *status*."""

    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nready".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        return await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/readyz")


@pytest.mark.parametrize("status", ["200 OK", "503 Service Unavailable"])
async def test_a_proxy_of_the_users_is_not_asked(
    status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs here is asked itself, whether it is well or not."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")

    assert await answered(status) == (int(status[:3]), "ready")


def test_where_nobody_answers_the_status_is_0() -> None:
    """A part that has not begun yet is asked again, and is no error."""
    assert fetch("http://127.0.0.1:9/readyz") == (0, "")
