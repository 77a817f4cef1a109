"""The fake's own paths, for whoever runs it as a process: read the call log, change the weather."""

import json
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fakes.sts.faults import Answer, Cut, Fault, Refusal
from fakes.sts.signature import Request
from fakes.sts.throttle import Throttle

if TYPE_CHECKING:
    from fakes.sts.server import FakeSts


def control(sts: "FakeSts", request: Request) -> tuple[int, bytes]:
    """Serve `/_fake/calls` (GET counts, DELETE forgets); PUT `/_fake/weather`, `/_fake/script`.

    A script is one fault for the next call for `role`: `{"cut": "BODY"}` as `faults.Cut` names it,
    `{"body": text, "status": 200}`, or `{"code": "AccessDenied", "status": 403, "message": text}`.
    """
    match request.method, request.path:
        case "GET", "/_fake/calls":
            return 200, json.dumps(_report(sts)).encode()
        case "DELETE", "/_fake/calls":
            sts.calls.clear()
            sts.counts.clear()
        case "PUT", "/_fake/weather":
            _set_weather(sts, json.loads(request.body))
        case "PUT", "/_fake/script":
            script = json.loads(request.body)
            sts.script(_fault(script), role_arn=script.get("role"))
        case _:
            return 404, b""
    return 200, b"{}"


def _report(sts: "FakeSts") -> dict[str, object]:
    roles = Counter(call.role_arn for call in sts.calls if call.role_arn)
    return {"total": len(sts.calls), "outcomes": dict(sts.counts), "roles": dict(roles)}


def _fault(script: dict[str, Any]) -> Fault:
    if "cut" in script:
        return Cut[script["cut"]]
    if "body" in script:
        return Answer(script["body"].encode(), script.get("status", 200))
    return Refusal(script.get("status", 400), script["code"], script.get("message", "scripted"))


def _set_weather(sts: "FakeSts", weather: dict[str, float]) -> None:
    """Take `{"latency": seconds, "outage": 0 or 1, "rate": calls a second or 0}`, any of them.

    `"longest"` is how many seconds sessions last at most, whatever was asked for.
    """
    if "latency" in weather:
        sts.latency = timedelta(seconds=weather["latency"])
    if "outage" in weather:
        sts.outage = bool(weather["outage"])
    if "longest" in weather:
        sts.account.longest = timedelta(seconds=weather["longest"])
    if "rate" in weather:
        rate = weather["rate"]
        sts.throttle = Throttle(rate, max(1, int(rate))) if rate else None
