"""Leads connections to a socket, which is given by number, to a port of loopback where this runs.

The socket may be of another network. It imports nothing of ours, since it is started by its path.
"""

import asyncio
import contextlib
import socket
import sys

_CHUNK = 64 * 1024


async def main(number: int, port: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            # Nobody listens there now; whoever asks shall see that as it would be without us.
            writer.transport.abort()
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_copy(reader, inner_writer), name="in")
            tasks.create_task(_copy(inner_reader, writer), name="out")

    listening = socket.socket(fileno=number)
    server = await asyncio.start_server(connected, sock=listening)
    await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
