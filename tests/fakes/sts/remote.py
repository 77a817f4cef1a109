"""The fake's own paths, for whoever runs it as a process: read the call log, change the weather."""

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from aiohttp import web

from fakes.sts.throttle import Throttle

if TYPE_CHECKING:
    from fakes.sts.server import FakeSts


async def control(sts: "FakeSts", request: web.BaseRequest) -> web.StreamResponse:
    """Serve `/_fake/calls` (GET counts, DELETE forgets) and `/_fake/weather` (PUT)."""
    match request.method, request.rel_url.raw_path:
        case "GET", "/_fake/calls":
            return web.json_response(_report(sts))
        case "DELETE", "/_fake/calls":
            sts.calls.clear()
            sts.counts.clear()
        case "PUT", "/_fake/weather":
            _set_weather(sts, await request.json())
        case _:
            return web.Response(status=404)
    return web.Response(status=204)


def _report(sts: "FakeSts") -> dict[str, object]:
    roles = Counter(call.role_arn for call in sts.calls if call.role_arn)
    return {"total": len(sts.calls), "outcomes": dict(sts.counts), "roles": dict(roles)}


def _set_weather(sts: "FakeSts", weather: dict[str, float]) -> None:
    """Take `{"latency": seconds, "outage": 0 or 1, "rate": calls a second or 0}`, any of them."""
    if "latency" in weather:
        sts.latency = timedelta(seconds=weather["latency"])
    if "outage" in weather:
        sts.outage = bool(weather["outage"])
    if "rate" in weather:
        rate = weather["rate"]
        sts.throttle = Throttle(rate, max(1, int(rate))) if rate else None
