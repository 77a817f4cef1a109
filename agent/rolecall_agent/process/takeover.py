"""Two agents on one node, for a moment: the new one warms up beside the old one.

The new one has an endpoint of its own (`sockets.py`), and says where it is once it could answer
every pod. Then the warden of its pod leads pods there, in one step, and the old one ends: what is
connected to it finishes first. An agent to which pods are led already has nothing to wait for.
The container endpoint's address is the same for both: the old one shares its port meanwhile
(`shared_port.py`).
"""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from rolecall_agent.process.inherited import Inherited
from rolecall_agent.process.shared_port import SharedPort
from rolecall_agent.process.sockets import CONTAINER, METADATA
from rolecall_agent.store.cache import Cache
from rolecall_common import endpoint_file
from rolecall_common.admin_http import Readiness
from rolecall_common.clock import Clock

log = logging.getLogger(__name__)

# What is connected has so long to finish; a held request needs 3.4 s.
DRAIN = timedelta(seconds=5)
_AGAIN = timedelta(seconds=1)
_PATIENCE = timedelta(seconds=30)  # A server has asked STS for all of a node's roles long before.

Served = AbstractAsyncContextManager[object]


@dataclass(frozen=True, slots=True)
class ContainerPart:
    """What a takeover has to do with the container endpoint.

    It is opened once this agent is warm, or at once where pods are led here.
    """

    port: SharedPort
    opening: Served
    is_superseded: Callable[[], bool]  # Whether another agent's warden has the node's rules.


class WarmUp:
    """Whether this agent could answer every pod as well as one that has run for days."""

    def __init__(
        self, cache: Cache, clock: Clock, settled: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """*settled* returns once the kernel's witness waits for nothing; see `witness`."""
        self._cache = cache
        self._clock = clock
        self._settled = settled
        self._synced, self._done = asyncio.Event(), asyncio.Event()

    def update(self) -> None:
        """Look again; call it after each change of the cache, of which there may be thousands."""
        if self._done.is_set() or not self._cache.synced:
            return
        self._synced.set()
        if not self._cache.awaits_credentials:
            self._done.set()

    async def wait(self) -> None:
        """Return once it could; or once it has all but what STS has not given for some time."""
        await self._synced.wait()
        if self._settled is not None:
            await self._settled()
        end = self._clock.now() + _PATIENCE
        while not self._done.is_set() and self._clock.now() < end:
            await self._clock.wait_until(self._done, end)


class Takeover:
    """What this agent does differently because another one may be on its node."""

    def __init__(self, path: Path, clock: Clock, is_leaving: Callable[[], bool]) -> None:
        """*path* is the warden's file; *is_leaving* says whether we were told to end.

        Raises OSError where the file cannot be written.
        """
        self._path = path
        self._clock = clock
        self._is_leaving = is_leaving
        self._is_open = False  # At the container endpoint, too, where there is one.
        tried = path.with_suffix(".tried")
        tried.touch()
        tried.unlink()

    def loops(
        self,
        warm_up: WarmUp,
        inherited: Inherited,
        container: ContainerPart,
        probes: Callable[[], Served],
    ) -> dict[str, Coroutine[Any, Any, None]]:
        """Return what is to run beside the agent's own loops, by name."""
        return {
            "take over": self._take_over(warm_up, inherited, container),
            "share the container endpoint's port": self._share(container),
            "serve the probes": self._serve_probes(probes),
        }

    def readiness(self, otherwise: Readiness) -> Readiness:
        """Return *otherwise*, or that the container endpoint is to be opened yet."""
        if self._is_open:
            return otherwise
        return Readiness(ready=False, lines=(*otherwise.lines, "not open for every pod yet"))

    async def _take_over(
        self, warm_up: WarmUp, inherited: Inherited, container: ContainerPart
    ) -> None:
        port = inherited.sockets[METADATA][0].getsockname()[1]
        led_here = endpoint_file.read(self._path) == port
        if led_here:
            log.info("pods are led here already", extra={"port": port})
        else:
            await warm_up.wait()
            endpoint_file.write(self._path, port)
            log.info("warm: pods may be led here", extra={"port": port})
        await self._listen(container.port)
        async with container.opening:
            self._is_open = True
            try:
                await asyncio.Event().wait()
            finally:
                # The supervisor holds them still. After a bug its next worker answers whoever comes
                # meanwhile; after us nobody does.
                for each in inherited.sockets[CONTAINER] if self._is_leaving() else ():
                    with contextlib.suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)

    async def _listen(self, port: SharedPort) -> None:
        told = False
        while not port.listen():
            if not told:
                log.info("another process has the container endpoint's port; an agent shares it")
                told = True
            await self._clock.sleep(_AGAIN)

    async def _share(self, container: ContainerPart) -> None:
        """Share our port with a newer agent while its warden has the node's rules."""
        while True:
            container.port.share(wanted=container.is_superseded())
            await self._clock.sleep(_AGAIN)

    async def _serve_probes(self, probes: Callable[[], Served]) -> None:
        """Serve *probes* as soon as no other agent has their port."""
        told = False
        while True:
            try:
                async with probes():
                    await asyncio.Event().wait()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                if not told:
                    log.info("another agent has the port of the probes; it will be ours after it")
                    told = True
            await self._clock.sleep(_AGAIN)
