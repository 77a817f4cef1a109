"""The node's real metadata service, as no pod must meet it: it records all that it is asked."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

TOKEN = "own-token-of-the-agent"  # noqa: S105 - the fake's only one
REGION = "/latest/meta-data/placement/region"
VALUES = {
    REGION: "eu-central-1",
    "/latest/meta-data/placement/availability-zone": "eu-central-1a",
    "/latest/meta-data/placement/availability-zone-id": "euc1-az2",
    "/latest/meta-data/instance-id": "i-0123456789abcdef0",
    "/latest/meta-data/instance-type": "m7g.large",
    "/latest/meta-data/services/domain": "amazonaws.com",
    "/latest/meta-data/services/partition": "aws",
    "/latest/dynamic/instance-identity/document": '{\n  "region" : "eu-central-1"\n}',
    # What must never be asked for.
    "/latest/user-data": "the node's own secret",
    "/latest/meta-data/iam/security-credentials/": "node-role",
}


@dataclass
class FakeImds:
    """Answers as EC2 with tokens required; *status* of a path is what it answers instead of 200."""

    values: dict[str, str] = field(default_factory=lambda: dict(VALUES))
    status: dict[str, int] = field(default_factory=dict)
    raw: dict[str, bytes] = field(default_factory=dict)  # Whole answers, for those that are none.
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    heads: list[str] = field(default_factory=list)  # As they came, whole.
    port: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)  # Nobody is answered before.
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def requests(self) -> list[str]:
        """The request lines, without the version."""
        return [head.partition(" HTTP/")[0] for head in self.heads]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
            self.heads.append(head)
            self.asked.set()
            await self.gate.wait()
            writer.write(self._answer(head))
            await writer.drain()
        writer.close()

    def _answer(self, head: str) -> bytes:
        method, path = head.split()[:2]
        shown = [line.partition(": ")[2] for line in head.split("\r\n") if "-token: " in line]
        if path in self.raw:
            return self.raw[path]
        status, body = self.status.get(path, 200), self.values.get(path, "")
        if method == "PUT":
            body = max(self.tokens)
        elif not self.tokens & {*shown}:
            status, body = 401, "<?xml?> Unauthorized"
        elif path not in self.values:
            status = 404
        return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@contextlib.asynccontextmanager
async def fake_imds(*, is_open: bool = True) -> AsyncGenerator[FakeImds]:
    """Run one on loopback, silent until its gate is opened where it is not open."""
    imds = FakeImds()
    if is_open:
        imds.gate.set()
    async with await asyncio.start_server(imds.serve, "127.0.0.1", 0) as server:
        imds.port = server.sockets[0].getsockname()[1]
        yield imds
        imds.gate.set()
