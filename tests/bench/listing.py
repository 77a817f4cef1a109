"""One first listing of a cluster's pods, timed; prints it as JSON. Run by itself, as a process.

`python -m bench.listing HOW KUBECONFIG`: `stream` and `pages` are ours, by the watch's own code;
`stream-floor` and `pages-floor` ask for the very same bytes by aiohttp and drop them.
"""

import asyncio
import contextlib
import json
import random
import re
import ssl
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp

from rolecall_common.clock import SystemClock
from rolecall_server.kube.access import Access
from rolecall_server.kube.api import NO_QUERY, Query, RejectedError
from rolecall_server.kube.informer import resources
from rolecall_server.kube.informer.reflector import Reflector
from rolecall_server.kube.transport import Transport
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.source import PodsListed

_PATH = "/api/v1/pods"
_UNFINISHED = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}
_STREAM = {
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "watch": "true",
    "allowWatchBookmarks": "true",
}
_INITIAL_END = b"k8s.io/initial-events-end"
# A list's own metadata come before its items.
_CONTINUE = re.compile(rb'"continue":"([^"]+)"')
_METADATA = 1024  # bytes


@dataclass(frozen=True, slots=True)
class Read:
    """What one listing came to; *bytes_read* are after decompression, and known of floors only."""

    pods: int
    seconds: float
    cpu: float
    bytes_read: int = 0


class _Stopwatch:
    """Starts with the first question that counts, so that a refusal and its pause do not."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def start(self) -> None:
        if not self.wall:
            self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self, pods: int, bytes_read: int = 0) -> Read:
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        return Read(pods, wall, cpu, bytes_read)


class _TimedApi:
    """The API, which says that it cannot stream where *pages* are wanted."""

    def __init__(self, api: Transport, stopwatch: _Stopwatch, *, pages: bool) -> None:
        self._api = api
        self._stopwatch = stopwatch
        self._pages = pages

    async def get(self, path: str, query: Query = NO_QUERY) -> bytes:
        self._stopwatch.start()
        return await self._api.get(path, query)

    async def send(self, method: Literal["POST", "PATCH"], path: str, body: object) -> bytes:
        return await self._api.send(method, path, body)

    @contextlib.asynccontextmanager
    async def watch(
        self, path: str, query: Query = NO_QUERY
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        if self._pages:
            raise RejectedError(400, "pages are what is measured")
        self._stopwatch.start()
        async with self._api.watch(path, query) as lines:
            yield lines


async def _ours(kubeconfig: Path, *, pages: bool) -> Read:
    stopwatch = _Stopwatch()
    dice = random.Random(1)  # noqa: S311 - only jitter
    async with Transport(Access(kubeconfig)) as transport:
        await transport.get("/api/v1/pods", {"limit": "1"})  # Connected before the clock starts.
        api = _TimedApi(transport, stopwatch, pages=pages)
        reflector = Reflector(resources.pods(AnnotationKeys()), api, SystemClock(), dice)
        async with contextlib.aclosing(reflector.changes()) as changes:
            async for change in changes:
                if isinstance(change, PodsListed):
                    return stopwatch.read(len(change.pods))
    raise AssertionError("a watch has no end")


async def _floor(kubeconfig: Path, *, pages: bool) -> Read:
    stopwatch = _Stopwatch()
    session, where = await _session(kubeconfig)
    async with session:
        async with session.get(where, params={"limit": "1"}) as response:
            await response.read()
        stopwatch.start()
        sizes = _pages(session, where) if pages else _stream(session, where)
        total = sum([size async for size in sizes])
    return stopwatch.read(0, total)


async def _session(kubeconfig: Path) -> tuple[aiohttp.ClientSession, str]:
    configuration: Any = await Access(kubeconfig)()
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    token = (await configuration.auth_settings())["BearerToken"]
    headers = {token["key"]: token["value"].strip(), "Accept-Encoding": "gzip"}
    headers["User-Agent"] = "rolecall-bench"  # Some user agents are sent indented JSON.
    connector = aiohttp.TCPConnector(ssl=tls)
    session = aiohttp.ClientSession(connector=connector, headers=headers)
    return session, f"{configuration.host}{_PATH}"


async def _pages(session: aiohttp.ClientSession, where: str) -> AsyncGenerator[int]:
    more: str | None = ""
    while more is not None:
        query = {**_UNFINISHED, "limit": "500", **({"continue": more} if more else {})}
        async with session.get(where, params=query) as response:
            body = await response.read()
        yield len(body)
        found = _CONTINUE.search(body, 0, _METADATA)
        more = found[1].decode() if found else None


async def _stream(session: aiohttp.ClientSession, where: str) -> AsyncGenerator[int]:
    tail = b""
    async with session.get(where, params={**_UNFINISHED, **_STREAM}) as response:
        async for chunk in response.content.iter_any():
            yield len(chunk)
            tail = tail[-len(_INITIAL_END) :] + chunk
            if _INITIAL_END in tail:
                return


def main(how: str, kubeconfig: Path) -> int:
    measure = _floor if how.endswith("-floor") else _ours
    read = asyncio.run(measure(kubeconfig, pages=how.startswith("pages")))
    json.dump(asdict(read), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
