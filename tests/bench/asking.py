"""Asks the metadata endpoint as a pod does: from the pod's own address, over its own socket."""

import asyncio
import time
from dataclasses import dataclass

ROLE_LIST = "/latest/meta-data/iam/security-credentials/"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and when it was whole: on the clock of `time.perf_counter`."""

    status: int
    body: str
    at: float


async def ask(
    port: int,
    path: str,
    *,
    source: str = "127.0.0.1",
    method: str = "GET",
    headers: dict[str, str] | None = None,
) -> Answer:
    """Ask the endpoint on *port* from the address *source* (all of 127/8 is this machine's)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        writer.write(_request(method, path, port, headers or {}))
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        body = await reader.read()
        return Answer(int(head.split()[1]), body.decode(), time.perf_counter())
    finally:
        writer.close()


def _request(method: str, path: str, port: int, headers: dict[str, str]) -> bytes:
    fields = {"Host": f"127.0.0.1:{port}", "Connection": "close", **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()
