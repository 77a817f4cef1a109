"""The demo's node where the machine allows no lab: every pod an address of the loopback network.

An SDK on loopback always asks from 127.0.0.1, so each pod has a small forwarder that asks from the
pod's own address. That is all there is to it: nothing keeps one pod from using another's.
"""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import IPv4Address

from rolecall_cli.fetch import fetch

NODE_ADDRESS = IPv4Address("127.0.0.1")
_CHUNK = 65536


class LoopbackNode:
    """The counterpart of `LabNode` without namespaces."""

    def __init__(self, forwarders: AsyncExitStack, port: int, agent_port: int) -> None:
        self._forwarders = forwarders
        self._port = port  # Of every forwarder, each on its pod's address.
        self._agent_port = agent_port

    @classmethod
    @asynccontextmanager
    async def opened(cls, port: int, agent_port: int) -> AsyncGenerator["LoopbackNode"]:
        async with AsyncExitStack() as forwarders:
            yield cls(forwarders, port, agent_port)

    def command(self, *command: str, pod: str | None = None) -> list[str]:  # noqa: ARG002 -- the lab's
        """Return *command* as it runs anywhere here, killed when whoever starts it dies."""
        setpriv = shutil.which("setpriv")
        return [setpriv, "--pdeathsig=KILL", "--", *command] if setpriv else list(command)

    async def add_pod(self, name: str, address: IPv4Address) -> None:  # noqa: ARG002 -- the lab's
        """Start the pod's forwarder."""
        server = await asyncio.start_server(
            lambda reader, writer: self._forward(reader, writer, address), str(address), self._port
        )
        await self._forwarders.enter_async_context(server)

    async def fetch(self, url: str) -> tuple[int, str]:
        """Return status and text of a GET; status 0 where nobody answers."""
        return await asyncio.to_thread(fetch, url)

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: IPv4Address
    ) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(
                str(NODE_ADDRESS), self._agent_port, local_addr=(str(address), 0)
            )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pump(reader, far_writer), name=f"from {address}")
                tasks.create_task(_pump(far_reader, writer), name=f"to {address}")
        except OSError:
            pass  # The agent is not there; the pod sees its connection end.
        finally:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # One end is gone; the other is told below.
    finally:
        writer.close()
