"""Both endpoints where nodes have them, for pods that come too late: it runs in the lab, on a node.

Its arguments are a folder and `patient` or `silent`. A line on its input, `ADDRESS pod 1.5` or
`ADDRESS credentials 3`, says what of a pod is late: so many seconds after its first request that
waits. A token of it is in the folder then. The node has an STS, to which everybody is the same.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from fakes.clock import FakeClock
from fakes.container_rig import endpoint_keys, token
from fakes.endpoint_rig import START, pod, session
from rolecall_agent.container.endpoint import ContainerEndpoint
from rolecall_agent.http.server import Server
from rolecall_agent.http.server_state import ServerRules
from rolecall_agent.metadata.endpoint import MetadataEndpoint
from rolecall_agent.process.sockets import bind_all
from rolecall_agent.store.cache import Cache
from rolecall_proto.values import (
    Address,
    AssignmentUpserted,
    SessionId,
    SessionRenewed,
    SnapshotEnd,
    Update,
)

METADATA, CONTAINER, STS = "169.254.169.254", "169.254.170.23", 9805
LONG = timedelta(days=10_000)  # SDKs look at a clock of their own.
ARN = "arn:aws:sts::111122223333:assumed-role/reader/late"
_CALLER = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>{ARN}</Arn>
<UserId>AROA:late</UserId><Account>111122223333</Account></GetCallerIdentityResult>
<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>""".encode()


class LateNode:
    """The endpoints, and what is still to be told to them."""

    def __init__(self, folder: Path, *, patient: bool) -> None:
        clock, self.cache = FakeClock(START), Cache()
        self._folder = folder
        self._late: dict[Address, Callable[[], None]] = {}
        self.metadata = MetadataEndpoint(self.cache, self._waits)
        self.container = ContainerEndpoint(self.cache, clock, self._waits)
        rules = ServerRules(patient=patient)
        self.servers = [
            (Server(self.metadata, self.cache, clock, rules), (METADATA, 80)),
            (Server(self.container, self.cache, clock, rules), (CONTAINER, 9804)),
        ]
        self._tell(endpoint_keys(), SnapshotEnd())

    def add(self, line: str) -> None:
        """Take a pod in, as a line says of it."""
        address, what, delay = line.split()
        uid = f"uid-{address}"
        late: list[Update] = [
            AssignmentUpserted(replace(pod(address), session_id=SessionId(uid))),
            SessionRenewed(session(uid, ends=LONG)),
        ]
        if what == "credentials":
            self._tell(late.pop(0))
        told = partial(self._tell, *late)
        loop = asyncio.get_running_loop()
        self._late[ip_address(address)] = partial(loop.call_later, float(delay), told)
        (self._folder / f"{address}.token").write_text(token(uid, f"pod-{address}"))

    def _waits(self, address: Address) -> None:
        if (begins := self._late.pop(address, None)) is not None:
            begins()

    def _tell(self, *updates: Update) -> None:
        for update in updates:
            self.metadata.wake(self.cache.apply(update, START))
            self.container.wake(update)


async def _answer_sts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: %d"
    writer.write(head % len(_CALLER) + b"\r\n\r\n" + _CALLER)
    writer.close()


async def main(folder: Path, *, patient: bool) -> None:
    node = LateNode(folder, patient=patient)
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        tasks.create_task(node.container.run(), name="load what verifies tokens")
        for server, where in node.servers:
            await stack.enter_async_context(server.serving(bind_all([where])))
        await asyncio.start_server(_answer_sts, CONTAINER, STS)
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        while line := await lines.readline():
            node.add(line.decode())
            sys.stdout.write("taken in\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), patient=sys.argv[2] == "patient"))
