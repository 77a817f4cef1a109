"""Health and metrics: a plain HTTP port of its own, never one that pods ask."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from rolecall_common.forms import HostPort


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a process can do its work, and a line for each thing that a person should know."""

    ready: bool
    lines: tuple[str, ...] = ()


@contextlib.asynccontextmanager
async def probing(
    listen: HostPort, readiness: Callable[[], Readiness], registry: CollectorRegistry
) -> AsyncGenerator[int]:
    """Serve /healthz, /readyz and /metrics while the block runs; yield the port.

    /healthz says that the loop turns, and asks nobody else. Raises OSError where *listen* cannot be
    had.
    """
    app = web.Application()
    app.add_routes(_routes(readiness, registry))
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, listen.host, listen.port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _routes(
    readiness: Callable[[], Readiness], registry: CollectorRegistry
) -> Iterable[web.RouteDef]:
    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        now = readiness()
        lines = ("ready" if now.ready else "not ready", *now.lines)
        return web.Response(status=200 if now.ready else 503, text="".join(f"{x}\n" for x in lines))

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    return [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
