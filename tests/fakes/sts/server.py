"""The fake STS as a server on a loopback socket."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Self
from urllib.parse import unquote_plus

from aiohttp import web

from fakes.sts import account, signature
from fakes.sts.faults import BODY_CUT, DROPPED, HEAD_CUT, SILENT, Answer, Cut, Fault, Scripted
from fakes.sts.mint import Mint
from fakes.sts.principals import Key, Role
from fakes.sts.refusal import RefusalError
from fakes.sts.remote import control
from fakes.sts.throttle import Throttle
from rolecall_common.clock import Clock, SystemClock

_FORM = "application/x-www-form-urlencoded"
_ACTIONS = frozenset({"AssumeRole", "GetCallerIdentity"})


@dataclass(frozen=True, slots=True)
class Call:
    """One line of the call log. *outcome* is `ok`, an error code, or the fault's name."""

    at: datetime
    action: str
    outcome: str
    role_arn: str | None
    session_name: str | None
    access_key_id: str | None
    request_id: str


class FakeSts:
    """A strict STS. `async with FakeSts(...) as sts: sts.url`.

    Everything public may be changed while it runs. With *region* None any region may be signed for.
    """

    def __init__(  # noqa: PLR0913 (each is a knob of its own, all with defaults)
        self,
        *keys: Key,  # The base credentials, at least one.
        roles: tuple[Role, ...] = (),
        any_role: bool = False,
        clock: Clock | None = None,
        region: str | None = None,
        token_length: int = 800,
        seed: int = 0,
    ) -> None:
        self.account = account.Account(Mint(seed, token_length))
        self.account.keys.update({key.access_key_id: key for key in keys})
        self.account.roles.update({role.arn: role for role in roles})
        self.account.any_role = any_role
        self.calls: list[Call] = []
        self.counts: Counter[str] = Counter()
        self.latency = timedelta()
        self.throttle: Throttle | None = None
        # Every connection ends without an answer while this is set.
        self.outage = False
        self.url = ""
        self._region = region
        self._clock = clock or SystemClock()
        self._script: list[Scripted] = []
        self._server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=0)

    def script(self, fault: Fault, *, times: int | None = 1, role_arn: str | None = None) -> None:
        """Let *fault* befall the next *times* calls (None: all), in the order of scripting."""
        self._script.append(Scripted(fault, times, role_arn))

    def clear(self) -> None:
        """Take back every fault, the outage included."""
        self._script.clear()
        self.outage = False

    def calls_of(self, action: str, role_arn: str | None = None) -> list[Call]:
        return [
            call
            for call in self.calls
            if call.action == action and role_arn in (None, call.role_arn)
        ]

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=tls, backlog=1024)
        await site.start()
        bound = self._runner.addresses[0]
        self.url = f"{'https' if tls else 'http'}://{host}:{bound[1]}"

    async def close(self) -> None:
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.rel_url.raw_path.startswith("/_fake"):
            return await control(self, request)
        body = await request.read()
        if self.outage:
            return _cut(request, DROPPED)
        now = self._clock.now()
        form = _form(body)
        request_id = self.account.mint.request_id()
        fault = self._fault(form.get("RoleArn"))
        try:
            status, text, key_id = 200, *self._answer(request, body, form, request_id, fault, now)
            outcome = "ok"
        except RefusalError as error:
            status, text, key_id, outcome = error.status, error.xml(request_id), None, error.code
        if isinstance(fault, Cut | Answer):
            outcome = fault.name if isinstance(fault, Cut) else "answer"
        self._log(now, form, outcome, key_id, request_id)
        if self.latency:
            await self._clock.sleep(self.latency)
        if isinstance(fault, Cut):
            return await _silent() if fault is SILENT else _cut(request, fault)
        if isinstance(fault, Answer):
            return web.Response(status=fault.status, body=fault.body, headers=fault.headers)
        return web.Response(status=status, body=text.encode(), headers=self._headers(request_id))

    def _answer(  # noqa: PLR0913, PLR0917 (a request and all that belongs to it, used once)
        self,
        request: web.BaseRequest,
        body: bytes,
        form: Mapping[str, str],
        request_id: str,
        fault: Fault | None,
        now: datetime,
    ) -> tuple[str, str]:
        key = self._authenticated(request, body, now)
        action = _action(request, body, form)
        if self.throttle is not None and not self.throttle.admits(now):
            raise RefusalError(400, "Throttling", "Rate exceeded")
        if fault is not None and not isinstance(fault, Cut | Answer):
            raise fault.error()
        result = (
            self.account.assume_role(form, key.principal, now)
            if action == "AssumeRole"
            else account.caller_identity(key.principal)
        )
        return account.answer(action, result, request_id), key.access_key_id

    def _authenticated(self, request: web.BaseRequest, body: bytes, now: datetime) -> Key:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if len(headers) != len(request.headers):
            raise RefusalError(400, "IncompleteSignature", "A header is doubled")
        claim = signature.read_claim(headers, self._region)
        key = self.account.key_of(claim, headers, now)
        signed = signature.Request(
            request.method,
            request.rel_url.raw_path,
            request.rel_url.raw_query_string,
            headers,
            body,
        )
        signature.verify(claim, signed, key.secret, now)
        return key

    def _fault(self, role_arn: str | None) -> Fault | None:
        for entry in self._script:
            if entry.is_for(role_arn):
                if not entry.use():
                    self._script.remove(entry)
                return entry.fault
        return None

    def _log(
        self,
        at: datetime,
        form: Mapping[str, str],
        outcome: str,
        key_id: str | None,
        request_id: str,
    ) -> None:
        action = form.get("Action", "")
        self.counts[f"{action}:{outcome}"] += 1
        self.calls.append(
            Call(
                at,
                action,
                outcome,
                form.get("RoleArn"),
                form.get("RoleSessionName"),
                key_id,
                request_id,
            )
        )

    def _headers(self, request_id: str) -> dict[str, str]:
        return {
            "Content-Type": "text/xml",
            "x-amzn-RequestId": request_id,
            "Date": format_datetime(self._clock.now(), usegmt=True),
        }


def _form(body: bytes) -> dict[str, str]:
    fields = (part.partition("=") for part in body.decode("utf-8", "replace").split("&"))
    return {unquote_plus(name): unquote_plus(value) for name, _, value in fields if name}


def _action(request: web.BaseRequest, body: bytes, form: Mapping[str, str]) -> str:
    if request.method != "POST" or request.rel_url.raw_path != "/":
        raise RefusalError(404, "UnknownOperationException", "Only POST / is served here")
    if request.content_type != _FORM:
        raise RefusalError(400, "MalformedInput", f"The body must be {_FORM}")
    if len(form) != body.count(b"=") or form.get("Version") != "2011-06-15":
        raise RefusalError(400, "MalformedInput", "A parameter is doubled, odd or missing")
    if form.get("Action") not in _ACTIONS:
        raise RefusalError(400, "InvalidAction", "Could not find operation")
    return form["Action"]


def _cut(request: web.BaseRequest, fault: Cut) -> web.StreamResponse:
    """End the connection where *fault* says, behind the framework's back."""
    transport = request.transport
    if transport is not None:
        if fault in (HEAD_CUT, BODY_CUT):
            transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n")
        if fault is BODY_CUT:
            transport.write(b"Content-Length: 1500\r\n\r\n<AssumeRoleResponse><AssumeRoleResult>")
        transport.close()
    return web.Response()


async def _silent() -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets that event")
